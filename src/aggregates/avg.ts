import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'
import { isNumber, type Maybe } from './internal/missing.js'

type Mean = [sum: number, count: number]

/**
 * The mean of a number of each record; undefined while there is none. What is no number (null, undefined, NaN, text) is skipped, and counted in
 * `weir_values_skipped_total`.
 */
export function avg<V>(of: (value: V) => Maybe<number>): Aggregate<V, Mean, number | undefined> {
  checkSelector('avg', of)
  return {
    init: () => [0, 0],
    add(mean, value, _record, skip) {
      const number = of(value)
      if (isNumber(number)) {
        mean[0] += number
        mean[1]++
      } else skip?.()
      return mean
    },
    merge: (mean, other) => {
      mean[0] += other[0]
      mean[1] += other[1]
      return mean
    },
    result: ([sum, count]) => (count === 0 ? undefined : sum / count),
  }
}
