import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Aggregates, combine } from '../../src/aggregates/combine.js'
import { collect, count, countDistinct, max, topK } from '../../src/index.js'
import type { CodecVersion, StreamRecord } from '../../src/model/index.js'

const record = undefined as unknown as StreamRecord
const value = fc.nat(30)

const kept: Record<string, Aggregates<number>> = {
  count: count(),
  collect: collect((n: number) => n, { max: 5 }),
  countDistinct: countDistinct((n: number) => n),
  topK: topK((n: number) => n, { k: 2, capacity: 4 }),
  several: {
    n: count(),
    last: collect((n: number) => n, { max: 3 }),
    users: countDistinct((n: number) => n),
    most: max((n: number) => n),
  },
}

test.each(Object.entries(kept))('%s: the whole and the changes of each epoch come to the same', (_, of) => {
  const { init, add, result, codec } = combine(of)
  fc.assert(
    fc.property(fc.array(fc.array(value, { maxLength: 12 }), { minLength: 1, maxLength: 8 }), (epochs) => {
      let state = init()
      let restored: unknown
      for (const [index, values] of epochs.entries()) {
        for (const one of values) state = add(state, one, record)
        const isFirst = index === 0 || codec.changes === undefined || codec.apply === undefined
        if (isFirst) restored = codec.load(structuredClone(codec.save(state)), codec.version)
        else restored = codec.apply?.(restored, structuredClone(codec.changes?.(state)), codec.version)
        expect(result(restored)).toEqual(result(state))
      }
    }),
  )
})

test('each of several aggregates is told the version that it was saved under', () => {
  const versioned = (version: number) => ({
    ...count(),
    codec: {
      version,
      save: () => 0,
      load: (_: unknown, under: CodecVersion) => under as number,
      changes: () => 0,
      apply: (_before: number, _changes: unknown, under: CodecVersion) => under as number,
    },
  })
  const { codec } = combine({ a: versioned(3), b: versioned(4) })
  expect(codec.version).toEqual([3, 4])
  expect(codec.load([0, 0], [1, 2])).toEqual([1, 2])
  expect(codec.apply?.([0, 0], [0, 0], [1, 2])).toEqual([1, 2])
})
