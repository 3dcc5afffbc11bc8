import { describe, expect, test } from 'vitest'
import { StreamRecord } from '../../src/model/index.js'
import { rowOf, versionReader } from '../../src/sinks/archive/rows.js'

const event = { id: 'a', source: '/s', specversion: '1.0', type: 't', extensions: { seq: 7 } }
const origin = {
  topic: 'events',
  partition: 2,
  offset: 9,
  timestamp: 5,
  key: Buffer.from('k'),
  headers: [{ a: '1' }, { a: '2' }],
}
const record = (value: unknown, from = origin) => new StreamRecord('another key', value, 77, [], from)

describe('the row of a record', () => {
  test('is the event, and where Kafka has it, as it was read and not as stages have changed it', () => {
    const { topic, partition, offset, timestamp, key, headers } = origin
    expect(rowOf(record({ ...event, time: '2025-01-01T00:00:00Z', data: '{"n":1.0}' }))).toMatchObject({
      ...{ id: 'a', source: '/s', type: 't', extensions: { seq: 7 }, time: '2025-01-01T00:00:00Z', data: '{"n":1.0}' },
      ...{ topic, partition, offset, timestamp, key, headers },
    })
  })

  test('is that of the topic that it came from, behind an internal one', () => {
    const from = { ...origin, topic: 'first', offset: 1 }
    expect(rowOf(record(event, { ...origin, from } as typeof origin))).toMatchObject({ topic: 'first', offset: 1 })
  })

  test('has bytes where data is neither JSON nor text, and JSON where it was parsed', () => {
    const bytes = Buffer.from([0xff])
    expect(rowOf(record({ ...event, data: bytes }))).toMatchObject({ data: undefined, dataBytes: bytes })
    expect(rowOf(record({ ...event, data: { n: 1 } }))).toMatchObject({ data: '{"n":1}', dataBytes: undefined })
    expect(rowOf(record({ ...event, data: null })).data).toBe('null')
    expect(rowOf(record(event)).data).toBeUndefined()
  })

  test.each([null, 'text', 7, {}, { id: 'a', source: '/s' }, Buffer.from('{}')])('%j is no event', (value) => {
    expect(() => rowOf(record(value))).toThrow('it is no CloudEvent: put cloudEvents.decode before')
  })
})

test.each([
  [undefined, 'v1'],
  ['https://example.com/order/v2.json', 'v2'],
  ['https://example.com/V3/order', 'v3'],
  ['https://example.com/v1/order/v2.1', 'v2.1'],
  ['urn:example:order:v4', 'v4'],
  ['https://example.com/order-v5.avsc?x=1', 'v1'],
  ['https://example.com/order_v5', 'v5'],
  ['https://example.com/vertical/order', 'v1'],
  ['../../v6', 'v6'],
])('the version of %s is %s, the first time and again', (dataschema, version) => {
  const versionOf = versionReader()
  const others = Array.from({ length: 20 }, (_, index) => `https://example.com/v${index + 10}`)
  for (const each of [dataschema, dataschema, ...others, dataschema])
    expect(versionOf({ dataschema: each })).toBe(each === dataschema ? version : each?.split('/').at(-1))
})
