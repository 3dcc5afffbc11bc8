import { expect, test } from 'vitest'
import { eventPipeline } from '../../src/flows/event-pipeline.js'
import { compile, correlationHeader, eventSchemas, kafka, postgres, type Sink, StreamRecord } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'

const connections = { schemas: eventSchemas({}) }
const signup = { eventType: 'user_signup', userId: 123 }
const login = { event_type: 'user_login', user_id: 'ann', method: 'sso' }

test(
  'events of either spelling are written, by themselves as long as they come slowly',
  marbles(({ flow }) => {
    const run = flow(eventPipeline, { connections })
    run.source('a-b-', { a: signup, b: login })
    run.sink('  a-b-', { a: [signup], b: [login] })
  }),
)

test(
  'what is no event goes to the dead letters, and what follows is written',
  marbles(({ flow }) => {
    const run = flow(eventPipeline, { connections })
    run.source('     mutvna-', {
      m: '{"eventType":',
      u: { eventType: 'user_vanished', userId: 1 },
      t: { userId: 1 },
      v: { eventType: 'purchase', userId: 1, amount: 'much' },
      n: { ...signup, schemaVersion: 3 },
      a: signup,
    })
    run.sink('       -----a-', { a: [signup] })
    run.deadLetters('mutvn--', {
      m: 'WEIR_RECORD_MALFORMED',
      u: 'WEIR_RECORD_NO_SCHEMA',
      t: 'WEIR_RECORD_NO_SCHEMA',
      v: 'WEIR_RECORD_INVALID',
      n: 'WEIR_RECORD_NO_SCHEMA',
    })
  }),
)

test(
  'after a crash what was not committed is written again',
  marbles(({ flow }) => {
    const run = flow(eventPipeline, { connections, epoch: { maxRecords: 10, everyMs: 4 } })
    run.source('ab-----  ', { a: signup, b: login })
    run.crash(' ---x---  ')
    run.sink('  -------a ', { a: [signup, login] })
  }),
)

const { row } = (eventPipeline.end as Sink<never>).options as {
  row: (event: unknown, record: StreamRecord) => Record<string, unknown>
}

/** The row of an event that came as this text. */
function rowOf(
  text: string,
  { timestamp = 1_700_000_000_000, headers = [] as { [correlationHeader]: string }[] } = {},
) {
  const origin = { topic: 'events', partition: 2, offset: 41, value: Buffer.from(text) }
  const event: unknown = JSON.parse(text.replace('\ufeff', ''))
  return row(event, new StreamRecord(null, event, timestamp, headers, origin))
}

test('an event without id, time and correlation has the id of its place and the time of its record', () => {
  expect(rowOf('{"eventType":"user_signup","userId":123}')).toEqual({
    event_id: 'events-2@41',
    event_type: 'user_signup',
    user_id: '123',
    occurred_at: new Date(1_700_000_000_000),
    payload: '{"eventType":"user_signup","userId":123}',
    correlation_id: null,
    topic: 'events',
    partition: 2,
    kafka_offset: 41,
  })
})

test.each([
  ['eventId', '{"eventId":"a","event_id":"b"}', { event_id: 'a' }],
  ['event_id', '{"event_id":7}', { event_id: 7 }],
  ['an empty id, which is none', '{"eventId":""}', { event_id: 'events-2@41' }],
  ['an id that is null', '{"eventId":null,"event_id":"b"}', { event_id: 'b' }],
  ['nobody', '{"userId":null}', { user_id: null }],
  ['user_id', '{"user_id":"ann"}', { user_id: 'ann' }],
  ['a zone', '{"timestamp":"2024-05-01T10:00:00.123456+02:00"}', { occurred_at: '2024-05-01T10:00:00.123456+02:00' }],
  ['a time without one', '{"timestamp":"2024-05-01 10:00:00"}', { occurred_at: new Date('2024-05-01T10:00:00Z') }],
  ['a day', '{"timestamp":"2024-05-01"}', { occurred_at: new Date('2024-05-01T00:00:00Z') }],
  ['ms', '{"timestamp":1714557600000}', { occurred_at: new Date('2024-05-01T10:00:00Z') }],
  ['correlation_id', '{"correlation_id":"c"}', { correlation_id: 'c' }],
  ['a byte order mark', '\ufeff{"userId":1.50}', { payload: '{"userId":1.50}' }],
])('a row of %s', (_what, text, expected) => {
  expect(rowOf(text)).toMatchObject(expected)
})

test('the correlation of the request that brought it is that of the event, if it tells none', () => {
  const headers = [{ [correlationHeader]: 'by-http' }]
  expect(rowOf('{}', { headers })).toMatchObject({ correlation_id: 'by-http' })
  expect(rowOf('{"correlationId":"own"}', { headers })).toMatchObject({ correlation_id: 'own' })
})

test('where neither event nor record tells a time, the database does', () => {
  expect(rowOf('{}', { timestamp: -1 })['occurred_at']).toBeUndefined()
})

test('a timestamp that is none is the fault of its event', () => {
  expect(() => rowOf('{"timestamp":"2024-02-30T00:00:00Z"}')).toThrow('is none')
  expect(() => rowOf('{"timestamp":{}}')).toThrow('is none')
})

test.each(['none', 'day'])('rows and positions are committed in one transaction, partitioned by %s', (by) => {
  const config = {
    connections: { ...connections, kafka: kafka({ brokers: 'localhost:9092' }), db: postgres({}) },
    flows: { pipeline: eventPipeline },
  }
  const [flow] = compile(config, { environment: { PIPELINE_PARTITION: by } }).flows
  expect(flow).toMatchObject({ guarantee: 'exactly-once', checkpoints: 'db' })
})
