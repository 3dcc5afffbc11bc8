import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, json, kafka, keyBy, recordKey, tumbling } from '../../src/index.js'
import { at, marbles, VirtualFlow } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

const declared = flow(
  kafka.source({ topic: 'visits' }),
  json<{ t: number }>(),
  eventTime(({ t }) => t, { idleAfter: '99s' }),
  aggregate('n', { by: recordKey, window: tumbling(10), of: count() }),
  listSink(),
)
const window = { start: new Date(0), end: new Date(10) }
const long = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

test(
  'records without a key are one group, with one final result a window',
  marbles(({ flow: run }) => {
    const flowed = run(declared, { repartition: true })
    flowed.source('(abcd)', {
      a: at({ t: 1 }, { partition: 0 }),
      b: at({ t: 2 }, { partition: 1 }),
      c: at({ t: 20 }, { partition: 0 }),
      d: at({ t: 20 }, { partition: 1 }),
    })
    flowed.sink('r', { r: { key: null, window, value: 2 } })
  }),
)

test(
  'keys of Java’s LongSerializer are told apart',
  marbles(({ flow: run }) => {
    const flowed = run(declared, { repartition: true, epoch: { maxRecords: 4, everyMs: 5 } })
    flowed.source('(abc)', {
      a: at({ t: 1 }, { key: long(200) }),
      b: at({ t: 2 }, { key: long(201) }),
      c: at({ t: 20 }, { key: long(1) }),
    })
    flowed.sink('5ms (ab)', { a: { key: long(200), window, value: 1 }, b: { key: long(201), window, value: 1 } })
  }),
)

const rekeyed = flow(
  kafka.source({ topic: 'visits' }),
  json<{ t: number }>(),
  keyBy((_, { key }) => key),
  aggregate('n', { by: recordKey, of: count() }),
  listSink(),
)

test('bytes that are no text are told apart behind an internal topic, and after a crash', () => {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(rekeyed, scheduler, { repartition: true })
  const keys = [long(200), long(201), Buffer.from('word'), Buffer.alloc(0), null]
  for (const time of [1, 50]) {
    for (const [partition, key] of keys.entries()) virtual.append(time, { t: 1 }, { key, partition: partition % 2 })
  }
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => (virtual.crash(), virtual.start()), 40)
  scheduler.schedule(() => virtual.stop(), 500)
  scheduler.flush()
  const counts = virtual.written.map(({ value, record }) => {
    const { key, value: count } = value as { key: Buffer | string | null; value: number }
    expect(record.key).toStrictEqual(key)
    return [key, count]
  })
  const [one, other] = keys
  const expected = [one, other, 'word', '', null].flatMap((key) => [1, 2].map((count) => [key, count]))
  expect(counts).toHaveLength(expected.length)
  expect(counts).toEqual(expect.arrayContaining(expected))
})
