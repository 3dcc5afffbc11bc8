import type { Aggregate } from './aggregate.js'

type Ordered = number | string

/** The least of a value of each record; undefined while there is none. */
export function min<V, T extends Ordered>(of: (value: V) => T): Aggregate<V, T | null, T | undefined> {
  return extreme(of, (a, b) => a < b)
}

/** The greatest of a value of each record; undefined while there is none. */
export function max<V, T extends Ordered>(of: (value: V) => T): Aggregate<V, T | null, T | undefined> {
  return extreme(of, (a, b) => a > b)
}

function extreme<V, T extends Ordered>(
  of: (value: V) => T,
  beats: (a: T, b: T) => boolean,
): Aggregate<V, T | null, T | undefined> {
  const better = (best: T | null, next: T | null) =>
    best === null || (next !== null && beats(next, best)) ? next : best
  return {
    init: () => null,
    add: (best, value) => better(best, of(value)),
    merge: better,
    result: (best) => best ?? undefined,
  }
}
