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
