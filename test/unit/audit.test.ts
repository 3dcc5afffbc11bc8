import { expect, test } from 'vitest'
import { auditSettings } from '../../src/config/audit.js'
import { env } from '../../src/model/index.js'

test('the audit has a topic, or there is none', () => {
  const audit = { topic: env('AUDIT_TOPIC').optional() }
  expect(auditSettings({ audit }, { AUDIT_TOPIC: 'deeds' })).toEqual({ topic: 'deeds', connection: undefined })
  expect(auditSettings({ audit }, {})).toBeUndefined()
  expect(auditSettings({}, {})).toBeUndefined()
})

test('what it does not know is refused', () => {
  const audit = { topics: 'deeds' } as object
  expect(() => auditSettings({ audit }, {})).toThrow(/audit: .*topics/)
})
