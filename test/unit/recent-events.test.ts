import { hash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StoreCodec } from '../../src/model/index.js'
import { Digests } from '../../src/sources/sse/digests.js'
import { blockCodec, RecentEvents } from '../../src/sources/sse/recent-events.js'
import { TaskStores } from '../../src/state/index.js'

const partition = { topic: 'sse:sse', partition: 0 }
const digestOf = (number: number) => hash('sha1', String(number), 'binary')

describe('a set of digests', () => {
  /** Of few beginnings and ends, so that many fall on the same place and differ only in their last byte. */
  const digest = fc
    .tuple(fc.constantFrom('\0\0\0\0', '\xff\xff\xff\xff', '\0\0\x07\xff', 'abcd'), fc.nat(5), fc.nat(255))
    .map(([start, middle, last]) => start + String(middle).repeat(15) + String.fromCharCode(last))

  test('has what a set of texts has', () => {
    fc.assert(
      fc.property(fc.array(digest, { maxLength: 3_000 }), fc.array(digest, { maxLength: 100 }), (added, asked) => {
        const [digests, texts] = [new Digests(), new Set<string>()]
        for (const each of added) {
          expect(digests.has(each)).toBe(texts.has(each))
          digests.add(each)
          texts.add(each)
        }
        expect(digests.size).toBe(texts.size)
        expect(asked.filter((each) => digests.has(each))).toEqual(asked.filter((each) => texts.has(each)))
        digests.clear()
        expect([...texts].some((each) => digests.has(each))).toBe(false)
      }),
      { numRuns: 20 },
    )
  })

  test('has each of many, however often it grows', () => {
    const digests = new Digests()
    for (let number = 0; number < 20_000; number++) digests.add(digestOf(number))
    expect(digests.size).toBe(20_000)
    const known = Array.from({ length: 40_000 }, (_, number) => digests.has(digestOf(number)))
    expect(known.indexOf(false)).toBe(20_000)
    expect(known.lastIndexOf(true)).toBe(19_999)
  })
})

function open<V>(codec: StoreCodec<V>) {
  const stores = new TaskStores()
  const store = stores.declare('sse', codec)
  stores.assign({ ...partition, generation: 1, sequence: 0, progress: undefined })
  return { stores, store }
}

function openEvents() {
  const { stores, store } = open(blockCodec)
  return { stores, recent: new RecentEvents(store, partition) }
}

function restored(chunks: readonly Uint8Array[]): RecentEvents {
  const { stores, recent } = openEvents()
  chunks.forEach((bytes, index) => stores.restore(partition, { sequence: index + 1, bytes }))
  recent.load()
  return recent
}

describe('recent events', () => {
  test('are the newest 100,000, and not many more', () => {
    const { recent } = openEvents()
    for (let number = 0; number < 350_000; number++) recent.add(digestOf(number))
    const isKnown = (number: number) => recent.has(digestOf(number))
    expect([349_999, 300_000, 250_000].map(isKnown)).toEqual([true, true, true])
    expect([0, 149_999].map(isKnown)).toEqual([false, false])
  })

  test('are known to the next process as far as they were emitted, wherever epochs end', () => {
    const lengths = fc.array(fc.oneof(fc.nat(3), fc.integer({ min: 5_000, max: 15_000 })), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(fc.nat(30_000), lengths, (first, epochs) => {
        const { stores, recent } = openEvents()
        const chunks: Uint8Array[] = []
        let offset = first
        for (const length of epochs) {
          recent.begin()
          const end = offset + length
          for (; offset < end; offset++) recent.emit(offset, digestOf(offset))
          chunks.push(...stores.commit({ ...partition, offset }, {}).chunks)
        }
        const next = restored(chunks)
        const known = Array.from({ length: offset - first + 2 }, (_, index) => next.has(digestOf(first - 1 + index)))
        expect(known.indexOf(true)).toBe(offset > first ? 1 : -1)
        expect(known.filter(Boolean).length).toBe(offset - first)
      }),
      { numRuns: 8 },
    )
  })

  test('go from the checkpoint by segments', () => {
    const { stores, recent } = openEvents()
    const chunks: Uint8Array[] = []
    for (let offset = 0; offset < 135_000; offset++) {
      if (offset % 1_000 === 0) {
        recent.begin()
        chunks.push(...stores.commit({ ...partition, offset }, {}).chunks)
      }
      recent.emit(offset, digestOf(offset))
    }
    chunks.push(...stores.commit({ ...partition, offset: 135_000 }, {}).chunks)
    const next = restored(chunks)
    expect([134_999, 100_000, 35_000].map((offset) => next.has(digestOf(offset)))).toEqual([true, true, true])
    expect([0, 19_999].map((offset) => next.has(digestOf(offset)))).toEqual([false, false])
  })

  test('an epoch writes what it has emitted, and nothing that was written before', () => {
    const { stores, recent } = openEvents()
    const sizes = Array.from({ length: 100 }, (_, epoch) => {
      recent.begin()
      for (let offset = epoch * 50; offset < (epoch + 1) * 50; offset++) recent.emit(offset, digestOf(offset))
      const { chunks } = stores.commit({ ...partition, offset: (epoch + 1) * 50 }, {})
      return chunks.reduce((sum, { length }) => sum + length, 0)
    })
    expect(Math.max(...sizes)).toBeLessThan(50 * 20 + 200)
  })

  test('that a version before has kept are known', () => {
    const before: StoreCodec<true> = { version: 1, save: (value) => value, load: () => true }
    const { stores, store } = open(before)
    for (let offset = 9_000; offset < 11_000; offset++)
      store
        .of(partition.topic, partition.partition)
        .add(Math.floor(offset / 10_000), hash('sha1', String(offset), 'base64'), true)
    const { chunks } = stores.commit({ ...partition, offset: 11_000 }, {})
    const next = openEvents()
    chunks.forEach((bytes) => next.stores.restore(partition, { sequence: 1, bytes }))
    next.recent.load()
    next.recent.begin()
    next.recent.emit(11_000, digestOf(11_000))
    const added = next.stores.commit({ ...partition, offset: 11_001 }, {}).chunks
    const last = restored([...chunks, ...added])
    expect([8_999, 9_000, 10_999, 11_000, 11_001].map((offset) => last.has(digestOf(offset)))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
  })
})
