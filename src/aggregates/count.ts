import type { StreamRecord } from '../model/index.js'
import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'

/** How many records there are, or how many of them hold to a condition. */
export function count<V>(when?: (value: V, record: StreamRecord) => boolean): Aggregate<V, number, number> {
  if (when !== undefined) checkSelector('count', when)
  return {
    init: () => 0,
    add: when === undefined ? (n) => n + 1 : (n, value, record) => (when(value, record) ? n + 1 : n),
    merge: (n, other) => n + other,
    result: (n) => n,
  }
}
