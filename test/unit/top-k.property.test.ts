import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type StoreCodec, StreamRecord, topK } from '../../src/index.js'

interface Visit {
  readonly user: string
  readonly bytes: number
}

const capacity = 8
const heaviest = topK((visit: Visit) => visit.user, { k: capacity, capacity, weight: ({ bytes }) => bytes })
type Summary = ReturnType<typeof heaviest.init>
const codec = heaviest.codec as Required<StoreCodec<Summary>>

function add(summary: Summary, visits: readonly Visit[]): Summary {
  return visits.reduce(
    (all, visit) =>
      heaviest.add(all, visit, new StreamRecord(null, visit, 0, [], { topic: 't', partition: 0, offset: 0 })),
    summary,
  )
}

/** What the docstring promises, against the exact weights. */
function check(summary: Summary, visits: readonly Visit[]): void {
  const exact = new Map<string, number>()
  for (const { user, bytes } of visits) exact.set(user, (exact.get(user) ?? 0) + bytes)
  const all = visits.reduce((sum, { bytes }) => sum + bytes, 0)
  const told = heaviest.result(summary)
  expect(told.length).toBeLessThanOrEqual(capacity)
  expect(told.map(({ count }) => count)).toEqual(told.map(({ count }) => count).sort((a, b) => b - a))
  for (const { key, count, error } of told) {
    const weight = exact.get(key) ?? 0
    expect(error).toBeLessThanOrEqual(all / capacity)
    expect(count).toBeGreaterThanOrEqual(weight)
    expect(count - error).toBeLessThanOrEqual(weight)
  }
  for (const [user, weight] of exact) {
    if (weight > all / capacity) expect(told.map(({ key }) => key)).toContain(user)
  }
  if (exact.size <= capacity) expect(new Map(told.map(({ key, count }) => [key, count]))).toEqual(exact)
}

/** Few users with much, and many with little. */
const visit = fc.record({
  user: fc.oneof(fc.nat(3), fc.nat(60)).map((user) => `user-${user}`),
  bytes: fc.nat(9),
})
const visits = fc.array(visit, { maxLength: 300, size: 'max' })

describe('the heaviest, counted in bounded memory', () => {
  test('are within the stated error', () => {
    fc.assert(
      fc.property(visits, (all) => check(add(heaviest.init(), all), all)),
      { numRuns: 300 },
    )
  })

  test('are so after any mergers, and the others stay as they are', () => {
    const parts = fc.array(visits, { maxLength: 6 })
    fc.assert(
      fc.property(parts, visits, (all, after) => {
        const summaries = all.map((part) => add(heaviest.init(), part))
        const before = summaries.map((summary) => JSON.stringify(codec.save(summary)))
        const merged = summaries.reduce((sum, one) => heaviest.merge(sum, one), heaviest.init())
        check(merged, all.flat())
        expect(summaries.map((summary) => JSON.stringify(codec.save(summary)))).toEqual(before)
        check(add(merged, after), [...all.flat(), ...after])
      }),
      { numRuns: 300 },
    )
  })

  test('go on the same when they were stored, whole and as changes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(visits, fc.boolean()), { maxLength: 6 }), (epochs) => {
        const kept = heaviest.init()
        let restored = codec.load(codec.save(kept), 1)
        for (const [some, whole] of epochs) {
          add(kept, some)
          restored = whole
            ? codec.load(structuredClone(codec.save(kept)), 1)
            : codec.apply(restored, structuredClone(codec.changes(kept)), 1)
          expect(codec.save(restored)).toEqual(codec.save(kept))
        }
        check(
          restored,
          epochs.flatMap(([some]) => some),
        )
      }),
      { numRuns: 200 },
    )
  })

  test('keep their bounds when they are read into a summary of another size', () => {
    const [wide, narrow] = [20, 3].map((size) =>
      topK((visit: Visit) => visit.user, { k: 3, capacity: size, weight: ({ bytes }) => bytes }),
    )
    fc.assert(
      fc.property(visits, visits, (some, more) => {
        for (const other of [wide, narrow] as [typeof heaviest, typeof heaviest]) {
          const read = (other.codec as typeof codec).load(codec.save(add(heaviest.init(), some)), 1)
          const exact = new Map<string, number>()
          for (const { user, bytes } of [...some, ...more]) exact.set(user, (exact.get(user) ?? 0) + bytes)
          for (const { key, count, error } of other.result(add(read, more))) {
            expect(count).toBeGreaterThanOrEqual(exact.get(key) as number)
            expect(count - error).toBeLessThanOrEqual(exact.get(key) as number)
          }
        }
      }),
      { numRuns: 100 },
    )
  })
})

test('what can be counted is checked where it is declared, and weighed where it comes', () => {
  expect(() => topK(String, { k: 0 })).toThrow(RangeError)
  expect(() => topK(String, { k: 10, capacity: 9 })).toThrow(RangeError)
  let skipped = 0
  const given = [-1, Number.NaN, '7', undefined, null, 1n].map((bytes) => ({ user: 'ann', bytes: bytes as number }))
  const odd = [null, undefined, {}, Symbol('user')].map((user) => ({ user: user as string, bytes: 1 }))
  const counted = [...given, ...odd, { user: 'bob', bytes: 2 }].reduce(
    (held, value) => heaviest.add(held, value, undefined as never, () => skipped++),
    heaviest.init(),
  )
  expect(heaviest.result(counted)).toEqual([{ key: 'bob', count: 2, error: 0 }])
  expect(skipped).toBe(10)
})
