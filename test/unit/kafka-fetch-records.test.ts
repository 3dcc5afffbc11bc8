import fc from 'fast-check'
import { Subscriber } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { FetchedChunk } from '../../src/kafka/fetch/fetched-chunk.js'
import { HeaderNames } from '../../src/kafka/fetch/header-names.js'
import { type DecodedRecords, decodeRecords } from '../../src/kafka/fetch/record-batch.js'
import type { KafkaValue } from '../../src/kafka/kafka-value.js'
import { Reading } from '../../src/kafka/silence.js'
import type { StreamRecord } from '../../src/model/index.js'
import {
  encodeBatch,
  type LoggedBatch,
  type LoggedRecord,
  marker,
  recordsShown,
  signed,
} from '../support/record-batches.js'

const options = { maxBytes: 1 << 20 }

/** Batches as the classes of Kafka 4.1.1's own Java client write them. */
const golden = {
  plain: [
    '000000012a05f2000000006f0000000402c0daec5b0000000000060000018bcfe568000000028bcfe56800ffffffffffff',
    'ffffffffffffffff0000000436000000066b65790a76616c75650602680231086e6f6e65010268001a00ff9fb787e90502',
    '010476320016008080808080400a0001000e00020c026b0000',
  ],
  appendTime: [
    '000000000000000a0000006f00000004024b3ddecf0008000000060000018bcfe56800000001977420dc00ffffffffffff',
    'ffffffffffffffff0000000436000000066b65790a76616c75650602680231086e6f6e65010268001a00ff9fb787e90502',
    '010476320016008080808080400a0001000e00020c026b0000',
  ],
  transactional: [
    '00000000000000140000006f00000004029460858c0010000000060000018bcfe568000000028bcfe56800000000000000',
    '004d0003000000070000000436000000066b65790a76616c75650602680231086e6f6e65010268001a00ff9fb787e90502',
    '010476320016008080808080400a0001000e00020c026b0000',
  ],
  abort: [
    '000000000000001b0000004200000004023ba2e95a0030000000000000018bcfe568000000018bcfe568000000000000',
    '00004d0003ffffffff000000012000000008000000000c00000000000000',
  ],
  commit: [
    '000000000000001b000000420000000402cf9c3f120030000000000000018bcfe568000000018bcfe568000000000000',
    '00004d0003ffffffff000000012000000008000000010c00000000000000',
  ],
  empty: [
    '0000000000000028000000310000000402c76d01e0000000000009ffffffffffffffff0000018bcfe5680000000000000',
    '0000500010000000300000000',
  ],
  old: ['000000000000000000000018e4e321bc010000000000000003e8000000016b0000000176'],
}

const bytesOf = (name: keyof typeof golden) => Buffer.from(golden[name].join(''), 'hex')

/** All that was read, as it was written. */
const decode = (bytes: Buffer, from: number, aborted: Parameters<typeof decodeRecords>[2] = []) =>
  decodeRecords(bytes, from, aborted, options) as DecodedRecords

const record = (offset: number, more: Partial<LoggedRecord> = {}): LoggedRecord => ({
  ...{ offset, timestamp: 1_000, key: null, value: Buffer.from(`value ${offset}`), headers: [] },
  ...more,
})

const batchOf = (base: number, last: number, more: Partial<LoggedBatch> = {}): LoggedBatch => ({
  ...{ base, last, records: Array.from({ length: last - base + 1 }, (_, index) => record(base + index)) },
  ...more,
})

const log = (...batches: LoggedBatch[]) => Buffer.concat(batches.map(encodeBatch))
const offsetsOf = (decoded: DecodedRecords) => recordsShown(decoded).map(({ offset }) => offset)

describe('batches as the Java client writes them', () => {
  const headers = [
    ['h', Buffer.from('1')],
    ['none', null],
    ['h', Buffer.alloc(0)],
  ] as const

  const written = (base: number) => [
    { offset: base, timestamp: 1_700_000_000_000, key: Buffer.from('key'), value: Buffer.from('value'), headers },
    { offset: base + 1, timestamp: 1_600_000_000_000, key: null, value: Buffer.from('v2'), headers: [] },
    { offset: base + 5, timestamp: 1_700_000_000_000 + 2 ** 40, key: Buffer.alloc(0), value: null, headers: [] },
    { offset: base + 6, timestamp: 1_700_000_000_001, key: Buffer.from('k'), value: Buffer.alloc(0), headers: [] },
  ]

  test('are read: keys, values and headers that are null, empty or many, and times before and far behind the first', () => {
    const decoded = decode(bytesOf('plain'), 5_000_000_000)
    expect(recordsShown(decoded)).toEqual(written(5_000_000_000))
    expect(decoded).toMatchObject({ next: 5_000_000_007, leaderEpoch: 4, wanted: 0 })
    expect(decoded.records[0]!.size(0)).toBe(5)
    expect(decoded.records[0]!.size(2)).toBe(0)
  })

  test('have the time of the append where the topic says so', () => {
    const decoded = decode(bytesOf('appendTime'), 10)
    expect(recordsShown(decoded)).toEqual(written(10).map((of) => ({ ...of, timestamp: 1_750_000_000_000 })))
  })

  test('are hidden up to the marker that aborts them, which is never given', () => {
    const bytes = Buffer.concat([bytesOf('transactional'), bytesOf('abort')])
    const decoded = decode(bytes, 20, [{ producer: 77n, first: 20 }])
    expect(decoded).toEqual({ records: [], next: 28, leaderEpoch: 4, wanted: 0 })
    const committed = decode(Buffer.concat([bytesOf('transactional'), bytesOf('commit')]), 20)
    expect(recordsShown(committed)).toEqual(written(20))
    expect(committed.next).toBe(28)
  })

  test('may be empty, where the cleaner has left their head', () => {
    expect(decode(bytesOf('empty'), 40)).toEqual({ records: [], next: 50, leaderEpoch: 4, wanted: 0 })
  })

  test('of an old format are refused', () => {
    expect(() => decode(bytesOf('old'), 0)).toThrow(
      expect.objectContaining({ code: 'old-format', message: expect.stringContaining('format 1') }),
    )
  })
})

describe('transactions', () => {
  const aborted = (producer: number, first: number) => ({ producer: BigInt(producer), first })
  const of = (producer: number) => ({ producer, isTransactional: true })

  test("a producer's second aborted transaction does not take the place of its first", () => {
    const bytes = log(
      batchOf(0, 1, of(1)),
      marker(2, 1, false),
      batchOf(3, 4, of(1)),
      marker(5, 1, true),
      batchOf(6, 7, of(1)),
      marker(8, 1, false),
      batchOf(9, 9, of(1)),
      marker(10, 1, true),
    )
    const decoded = decode(bytes, 0, [aborted(1, 6), aborted(1, 0)])
    expect(offsetsOf(decoded)).toEqual([3, 4, 9])
    expect(decoded.next).toBe(11)
  })

  test('one whose marker lies beyond the response is hidden to its end', () => {
    const bytes = log(batchOf(0, 1, of(1)), batchOf(2, 3, of(2)), batchOf(4, 5, of(1)))
    expect(offsetsOf(decode(bytes, 0, [aborted(1, 0)]))).toEqual([2, 3])
  })

  test('one that began before the response is hidden from its first batch on', () => {
    const bytes = log(batchOf(50, 51, of(1)), batchOf(52, 53, of(2)), marker(54, 1, false), batchOf(55, 56, of(1)))
    expect(offsetsOf(decode(bytes, 51, [aborted(1, 3)]))).toEqual([52, 53, 55, 56])
  })

  test('a marker that lies before where the reading begins ends its transaction', () => {
    const bytes = log(batchOf(0, 1, of(1)), marker(2, 1, false), batchOf(3, 4, of(1)))
    expect(offsetsOf(decode(bytes, 3, [aborted(1, 0)]))).toEqual([3, 4])
  })

  test('a marker of a producer that is not listed changes nothing', () => {
    const bytes = log(batchOf(0, 1, of(1)), marker(2, 9, false), batchOf(3, 4, of(1)), marker(5, 1, false))
    expect(offsetsOf(decode(bytes, 0, [aborted(1, 0)]))).toEqual([])
  })

  test('records of the same producer outside of transactions are given', () => {
    const bytes = log(batchOf(0, 1, of(1)), batchOf(2, 3, { producer: 1 }))
    expect(offsetsOf(decode(bytes, 0, [aborted(1, 0)]))).toEqual([2, 3])
  })

  test('producers whose ids differ beyond 2^53 are two', () => {
    const batch = encodeBatch(batchOf(0, 0, of(1)))
    batch.writeBigInt64BE(2n ** 53n + 1n, 43)
    expect(offsetsOf(decode(signed(batch), 0, [{ producer: 2n ** 53n, first: 0 }]))).toEqual([0])
  })

  test('what a marker says that the cleaner has emptied, nobody knows', () => {
    const bytes = log({ ...marker(2, 1, false), records: [] }, batchOf(3, 4))
    expect(offsetsOf(decode(bytes, 2))).toEqual([3, 4])
  })
})

describe('where a response begins and ends', () => {
  test('records before the offset that was asked for are left out', () => {
    const decoded = decode(log(batchOf(0, 2), batchOf(3, 5)), 4)
    expect(offsetsOf(decoded)).toEqual([4, 5])
    expect(decoded.next).toBe(6)
  })

  test('consecutive batches are one', () => {
    expect(decode(log(batchOf(0, 2), marker(3, 1, true), batchOf(4, 5)), 0).records.map(({ count }) => count)).toEqual([
      5,
    ])
  })

  test('a batch that is cut at the end is for the next response, wherever it is cut', () => {
    const first = encodeBatch(batchOf(0, 2, { leaderEpoch: 7 }))
    const second = encodeBatch(batchOf(3, 5, { leaderEpoch: 8 }))
    for (let length = 0; length < second.length; length++) {
      const decoded = decode(Buffer.concat([first, second.subarray(0, length)]), 0)
      expect(offsetsOf(decoded)).toEqual([0, 1, 2])
      expect(decoded).toMatchObject({ next: 3, leaderEpoch: 7, wanted: 0 })
    }
  })

  test('a response with part of a batch only tells how many bytes that needs', () => {
    const batch = encodeBatch(batchOf(0, 2))
    for (let length = 1; length < batch.length; length++) {
      const wanted = length < 12 ? 61 : batch.length
      expect(decode(batch.subarray(0, length), 0)).toEqual({ records: [], next: 0, leaderEpoch: -1, wanted })
    }
  })

  test('an empty one is empty', () => {
    expect(decode(Buffer.alloc(0), 9)).toEqual({ records: [], next: 9, leaderEpoch: -1, wanted: 0 })
  })

  test('offsets that the cleaner has removed are passed over, also behind the last record', () => {
    const decoded = decode(log(batchOf(10, 19, { records: [record(12), record(15)] })), 11)
    expect(offsetsOf(decoded)).toEqual([12, 15])
    expect(decoded.next).toBe(20)
  })

  test('batches that all end before what was asked for are an error, not the same question for ever', () => {
    expect(() => decode(log(batchOf(0, 2)), 3)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })
})

describe('a batch that can not be read', () => {
  const broken = (change: (batch: Buffer) => void) => {
    const batch = encodeBatch(batchOf(3, 5))
    change(batch)
    return batch
  }

  const cases: [string, Buffer][] = [
    ['has another checksum', broken((batch) => batch.writeUInt8(1, 70))],
    ['is shorter than its head', broken((batch) => batch.writeInt32BE(12, 8))],
    ['has a negative size', broken((batch) => batch.writeInt32BE(-1, 8))],
    ['has records of which there are fewer', signed(broken((batch) => batch.writeInt32BE(4, 57)))],
    ['has records of which there are more', signed(broken((batch) => batch.writeInt32BE(2, 57)))],
    ['has billions of records', signed(broken((batch) => batch.writeInt32BE(0x7f_ff_ff_ff, 57)))],
    ['has a negative number of records', signed(broken((batch) => batch.writeInt32BE(-1, 57)))],
    ['ends before it begins', signed(broken((batch) => batch.writeInt32BE(-1, 23)))],
    ['has records behind its end', signed(broken((batch) => batch.writeInt32BE(1, 23)))],
    ['is of a format to come', broken((batch) => batch.writeInt8(3, 16))],
  ]

  test.each(cases)('because it %s is told', (_, batch) => {
    expect(() => decode(batch, 3)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })

  test.each(cases)('because it %s does not take with it what lies before', (_, batch) => {
    const decoded = decode(Buffer.concat([encodeBatch(batchOf(0, 2)), batch, encodeBatch(batchOf(6, 7))]), 0)
    expect(offsetsOf(decoded)).toEqual([0, 1, 2])
    expect(decoded.next).toBe(3)
  })
})

test('a key is a copy, and a key or value that is empty is not one that is written as null', () => {
  const bytes = log(
    batchOf(0, 1, {
      records: [record(0, { key: Buffer.from('key') }), record(1, { key: Buffer.alloc(0), value: Buffer.alloc(0) })],
    }),
  )
  const { records } = decode(bytes, 0)
  const [key, empty, value] = [records[0]!.key(0)!, records[0]!.key(1)!, records[0]!.value(1)!]
  bytes.fill(0)
  expect(key.toString()).toBe('key')
  // What the client writes as null has no memory at all.
  for (const { length, buffer } of [empty, value]) expect([length, buffer.byteLength > 0]).toEqual([0, true])
})

test('a record that no stage has touched has the very key, value and headers that were read', () => {
  const headers = [['name', Buffer.from('1')]] as const
  const batch = encodeBatch(batchOf(0, 0, { records: [record(0, { key: Buffer.from('key'), headers })] }))
  const chunk = new FetchedChunk('topic', 0, decode(batch, 0).records[0], 1)
  const emitted: StreamRecord<KafkaValue>[] = []
  const out = new Subscriber<StreamRecord<KafkaValue>>({
    next: (one) => void emitted.push(one),
    error: () => undefined,
    complete: () => undefined,
  })
  chunk.emit(1, { out, moved: 0, part: () => new Reading('topic', 0, 0, 0, { partitions: 1 }) })
  const [{ key, value, timestamp, headers: own, origin }] = emitted as [StreamRecord<KafkaValue>]
  expect(origin).toEqual({ topic: 'topic', partition: 0, offset: 0, key, value, timestamp, headers: own })
  expect([origin.key === key, origin.value === value, origin.headers === own]).toEqual([true, true, true])
})

test('names of headers are read as they are, whatever was read before them', () => {
  const names = new HeaderNames()
  const random = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'ü', '\0'), minLength: 1, maxLength: 40 }), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(random, (texts) => {
      const bytes = texts.map((text) => Buffer.from(`before ${text} behind`))
      const read = bytes.map((one) => names.at(one, 7, one.length - 14))
      expect(read).toEqual(texts)
    }),
  )
})
