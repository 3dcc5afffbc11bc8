import { expect, test } from 'vitest'
import { Change } from '../../src/flows/wikimedia.js'
import { wikimediaIngest } from '../../src/flows/wikimedia-ingest.js'
import { compile, kafka, type Sink } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { invented } from '../support/wikimedia-captures.js'

const change = (domain: string, more: object = {}) => ({ meta: { domain, id: 'x' }, user: 'Ann', bot: false, ...more })
const a = change('en.wikipedia.org', { title: 'Otters', length: { old: 1, new: 2 } })
const b = change('de.wikipedia.org', { user: 'Björn' })
const text = JSON.stringify

test(
  'every change is written as it came, canaries are not',
  marbles(({ flow }) => {
    const run = flow(wikimediaIngest)
    run.source('acb-', { a: text(a), b: text(b), c: text(change('canary')) })
    run.sink('  a-b-', { a, b })
  }),
)

test(
  'what is no change goes to the dead letters',
  marbles(({ flow }) => {
    const run = flow(wikimediaIngest)
    run.source('     xay-z-', { a: text(a), x: '{"meta":{"dom', y: '{"meta":{}}', z: '[]' })
    run.sink('       -a----', { a })
    run.deadLetters('x-y-z-', { x: 'WEIR_RECORD_MALFORMED', y: 'WEIR_RECORD_INVALID', z: 'WEIR_RECORD_INVALID' })
  }),
)

test(
  'fields that are missing or of another type are no fault of a change',
  marbles(({ flow }) => {
    const odd = { meta: { domain: 'x.org', dt: 'yesterday' }, user: 7, bot: 'no' }
    const run = flow(wikimediaIngest)
    run.source('ab', { a: text({ meta: { domain: 'x.org' } }), b: text(odd) })
    run.sink('  ab', {
      a: { meta: { domain: 'x.org' } },
      b: { meta: { domain: 'x.org', dt: undefined }, user: undefined, bot: undefined },
    })
  }),
)

test(
  'after a crash the changes that were not committed are written again',
  marbles(({ flow }) => {
    const run = flow(wikimediaIngest, { epoch: { maxRecords: 10, everyMs: 4 } })
    run.source('ab-----', { a: text(a), b: text(b) })
    run.crash(' ---x---')
    run.sink('  ab-(ab)', { a, b })
  }),
)

test('a message is the event itself, under its site', () => {
  const { key, value } = (wikimediaIngest.end as Sink<never>).options as Record<string, (...args: unknown[]) => unknown>
  const [event] = invented(1)
  expect(key?.(Change.parse(a))).toBe('en.wikipedia.org')
  expect(value?.(Change.parse(a), { origin: { value: event?.data } })).toBe(event?.data)
})

test('it counts each change once', () => {
  const config = { connections: { kafka: kafka({ brokers: 'localhost:9092' }) }, flows: { ingest: wikimediaIngest } }
  const [flow] = compile(config, { environment: {} }).flows
  expect(flow).toMatchObject({ guarantee: 'exactly-once', checkpoints: 'kafka' })
})
