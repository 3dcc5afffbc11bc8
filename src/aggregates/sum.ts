import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'
import { isNumber, type Maybe } from './internal/missing.js'

/** The sum of a number of each record. What is no number (null, undefined, NaN, text) is skipped, and counted in `weir_values_skipped_total`. */
export function sum<V>(of: (value: V) => Maybe<number>): Aggregate<V, number, number> {
  checkSelector('sum', of)
  return {
    init: () => 0,
    add(total, value, _record, skip) {
      const number = of(value)
      if (isNumber(number)) return total + number
      skip?.()
      return total
    },
    merge: (total, other) => total + other,
    result: (total) => total,
  }
}
