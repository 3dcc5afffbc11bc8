import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch, type Header, noHeaders, type Origin, StreamRecord } from '../../src/model/index.js'

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  // Larger than what is copied, and than the first slab.
  fc.constantFrom(4_096, 4_097, 70_000).map((length) => Buffer.alloc(length, 'x')),
)
const headers = fc.oneof(
  fc.constant(noHeaders),
  fc.constant<readonly Header[]>([]),
  fc.string().map((text): readonly Header[] => [{ trace: text }, { trace: Buffer.from(text) }]),
)
const number = fc.oneof(fc.maxSafeNat(), fc.constant(-1), fc.double({ noNaN: true }))
const place = fc.record({ topic: fc.string(), partition: fc.nat(9), offset: fc.maxSafeNat() })

/** As sources of Kafka make them, and as others do. */
const origin: fc.Arbitrary<Origin> = fc.oneof(
  fc.record({
    topic: fc.string(),
    partition: fc.nat(9),
    offset: fc.maxSafeNat(),
    key: bytes,
    value: bytes,
    timestamp: number,
  }),
  place,
  fc.record({ ...{ topic: fc.string(), partition: fc.nat(9), offset: fc.nat() }, value: fc.anything(), from: place }),
)
const record = fc
  .record({
    origin,
    headers,
    value: fc.anything(),
    time: number,
    behindMs: fc.nat(),
    key: fc.option(fc.oneof(fc.string(), bytes)),
  })
  .chain(({ origin: read, headers: given, value, time, behindMs, key }) =>
    fc.constantFrom(true, false).map((isOwn) => {
      const from = given === noHeaders || !isOwn ? read : { ...read, headers: given }
      const own = isOwn && (Buffer.isBuffer(read.key) || read.key === null) ? read.key : key
      return new StreamRecord(own, value, time, given, from, behindMs)
    }),
  )

const plainRecord = ({ key, value, timestamp, headers: all, behindMs }: StreamRecord) => ({
  ...{ key, value, timestamp, headers: all, behindMs },
})

const plain = ({ topic, partition, offset, key, value, timestamp, headers: all, from }: Origin) => ({
  ...{ topic, partition, offset, key, value, timestamp, headers: all, from },
})

test('each member of a batch is the record that was put in', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 9 }), fc.nat(30), fc.boolean(), (some, times, isFirst) => {
      // More than there is room for at first.
      const records = Array.from({ length: times + 1 }, () => some).flat()
      const batch = isFirst ? new Batch() : new Batch(records).another()
      for (const one of records) batch.add(one)
      expect(batch).toHaveLength(records.length)
      deepStrictEqual(
        batch.values,
        records.map(({ value }) => value),
      )
      for (const [index, member] of batch.records.entries()) {
        const put = records[index] as StreamRecord
        deepStrictEqual(plainRecord(member), plainRecord(put))
        deepStrictEqual(plain(member.origin), plain(put.origin))
        deepStrictEqual(plainRecord(member.with(1).keyed('k').at(2, 3)), plainRecord(put.with(1).keyed('k').at(2, 3)))
      }
    }),
    { numRuns: 300 },
  )
})

test('a member is told from others by its own bytes, though they share memory', () => {
  const of = (text: string, offset: number) => {
    const read = { topic: 't', partition: 0, offset, key: Buffer.from('k'), value: Buffer.from(text), timestamp: 7 }
    return new StreamRecord(read.key, text, 7, noHeaders, read)
  }
  const batch = new Batch([of('one', 1), of('', 2), of('three', 3)])
  expect(batch.records.map(({ origin: { value } }) => String(value))).toEqual(['one', '', 'three'])
})

test.each([64, 65, 200, 1_000])('a batch of %d members that are kept whole has each of them', (count) => {
  const records = Array.from({ length: count }, (_, offset) => {
    return new StreamRecord('key', offset, 1, noHeaders, { topic: 'posts', partition: 0, offset })
  })
  const batch = new Batch(records)
  const shown = ({ key, value, origin }: StreamRecord) => ({ key, value, offset: origin.offset })
  expect(batch.records.map(shown)).toEqual(records.map(shown))
  expect(batch.values).toEqual(records.map(({ value }) => value))
})
