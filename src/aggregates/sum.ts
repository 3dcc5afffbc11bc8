import type { Aggregate } from './aggregate.js'

/** The sum of a number of each record. */
export function sum<V>(of: (value: V) => number): Aggregate<V, number, number> {
  return {
    init: () => 0,
    add: (total, value) => total + of(value),
    merge: (total, other) => total + other,
    result: (total) => total,
  }
}
