import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Aggregates, combine } from '../../src/aggregates/combine.js'
import { avg, count, countDistinct, max, min, sum } from '../../src/index.js'
import type { StreamRecord } from '../../src/model/index.js'

const record = undefined as unknown as StreamRecord
const itself = (n: number) => n

const exact: Record<string, Aggregates<number>> = {
  count: count(),
  sum: sum(itself),
  min: min(itself),
  max: max(itself),
  avg: avg(itself),
  countDistinct: countDistinct(itself),
  several: { least: min(itself), mean: avg(itself) },
}

test.each(Object.entries(exact))('%s of parts, merged, is that of all', (_, of) => {
  const { init, add, merge, result } = combine(of)
  const whole = (values: readonly number[]) => values.reduce<unknown>((state, one) => add(state, one, record), init())
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: -50, max: 50 })), { maxLength: 5 }), (parts) => {
      const merged = parts.map(whole).reduce((all, part) => merge(all, part), init())
      expect(result(merged)).toEqual(result(whole(parts.flat())))
    }),
  )
})

const maybe = (value: number | null | undefined) => value
const skipping: Record<string, Aggregates<number | null | undefined>> = {
  sum: sum(maybe),
  min: min(maybe),
  max: max(maybe),
  avg: avg(maybe),
}

test.each(Object.entries(skipping))('%s skips what is no value, wherever it stands', (_, of) => {
  const { init, add, merge, result } = combine(of)
  const nothing = fc.constantFrom(null, undefined, Number.NaN)
  fc.assert(
    fc.property(fc.array(fc.array(fc.oneof(fc.integer({ min: -50, max: 50 }), nothing))), (parts) => {
      let skipped = 0
      const whole = (values: readonly unknown[]) =>
        values.reduce<unknown>((state, one) => add(state, one, record, () => skipped++), init())
      const merged = parts.map(whole).reduce((all, part) => merge(all, part), init())
      const there = parts
        .flat()
        .filter((value): value is number => value !== null && !Number.isNaN(value ?? Number.NaN))
      expect(skipped).toBe(parts.flat().length - there.length)
      expect(result(merged)).toEqual(result(whole(there)))
    }),
  )
})
