import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'
import { isThere, type Maybe } from './internal/missing.js'

type Ordered = number | string

/**
 * The least of a value of each record; undefined while there is none. Null, undefined and NaN are skipped, and counted in
 * `weir_values_skipped_total`.
 */
export function min<V, T extends Ordered>(of: (value: V) => Maybe<T>): Aggregate<V, T | null, T | undefined> {
  checkSelector('min', of)
  return extreme(of, (a, b) => a < b)
}

/**
 * The greatest of a value of each record; undefined while there is none. Null, undefined and NaN are skipped, and counted
 * in `weir_values_skipped_total`.
 */
export function max<V, T extends Ordered>(of: (value: V) => Maybe<T>): Aggregate<V, T | null, T | undefined> {
  checkSelector('max', of)
  return extreme(of, (a, b) => a > b)
}

function extreme<V, T extends Ordered>(
  of: (value: V) => Maybe<T>,
  beats: (a: T, b: T) => boolean,
): Aggregate<V, T | null, T | undefined> {
  const better = (best: T | null, next: T | null) =>
    best === null || (next !== null && beats(next, best)) ? next : best
  return {
    init: () => null,
    add(best, value, _record, skip) {
      const next = of(value)
      if (isThere(next)) return better(best, next)
      skip?.()
      return best
    },
    merge: better,
    result: (best) => best ?? undefined,
  }
}
