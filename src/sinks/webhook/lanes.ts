import { concatMap, groupBy, mergeMap, type Observable, type OperatorFunction } from 'rxjs'
import { type Key, storeKeyOf } from '../../model/index.js'

/**
 * Works on many at once, and on those of a key one after the other. Those without a key have no order. What waits is held, as
 * much of it as an epoch brings.
 */
export function inLanes<T, R>(
  count: number,
  keyOf: (item: T) => Key,
  work: (item: T) => Observable<R>,
): OperatorFunction<T, R> {
  let turn = 0
  const laneOf = (item: T) => {
    const key = storeKeyOf(keyOf(item))
    return key === null ? turn++ % count : hashOf(String(key)) % count
  }
  return (items$) =>
    items$.pipe(
      groupBy(laneOf),
      mergeMap((lane$) => lane$.pipe(concatMap(work)), count),
    )
}

/** FNV-1a of UTF-16 code units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
