import { expect, test } from 'vitest'
import { alertWebhook } from '../../src/flows/alert-webhook.js'
import { marbles } from '../../src/testing/index.js'

const alert = { source: 'lag-watch', id: 'billing/orders@2026-05-05T12:00:00.000Z', notice: 2, text: '[RESOLVED] …' }

test(
  'alerts are posted as they are, and are known by incident and notice, wherever they lie in the topic',
  marbles(({ flow }) => {
    const run = flow(alertWebhook)
    run.source('a-a', { a: alert })
    run.sink('  a-a', { a: alert })
    run.finally(() => {
      const { end } = alertWebhook as unknown as { end: { options: { id: (value: object) => string } } }
      expect(end.options.id(alert)).toBe('lag-watch/billing/orders@2026-05-05T12:00:00.000Z#2')
    })
  }),
)
