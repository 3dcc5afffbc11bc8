import { inspect, isDeepStrictEqual } from 'node:util'
import type { StoreCodec, StoreKey } from '../model/index.js'
import type { PartitionStore } from './partition-store.js'

/** An entry that a restore would bring otherwise than it is in memory. */
export interface Unlike {
  readonly store: string
  readonly segment: number
  readonly key: StoreKey
  /** Undefined where there is none. */
  readonly inMemory: unknown
  readonly restored: unknown
}

/** The first entry in which two states of one store differ. Both have to be committed: nothing of them is changed. */
export function unlikeOf(live: PartitionStore<unknown>, restored: PartitionStore<unknown>): Unlike | undefined {
  for (const segment of new Set([...live.segments(), ...restored.segments()])) {
    const [here, there] = [live.segment(segment), restored.segment(segment)]
    for (const key of new Set([...(here?.keys() ?? []), ...(there?.keys() ?? [])])) {
      const [one, other] = [here?.get(key), there?.get(key)]
      if (one !== undefined && other !== undefined && isAlike(one.value, other.value, live.codec)) continue
      return { store: live.name, segment, key, inMemory: one?.value, restored: other?.value }
    }
  }
  return undefined
}

/**
 * Plain values have to be the same. One of a class of its own, or of a codec that tells changes, may keep track of
 * something beside what it is: that is compared as it is saved.
 */
function isAlike(one: unknown, other: unknown, codec: StoreCodec<unknown>): boolean {
  if (isSame(one, other)) return true
  const hasMore = codec.changes !== undefined || hasClass(one)
  return hasMore && isSame(codec.save(one), codec.save(other))
}

/** Two dates that are none are different to Node, whatever they lie in, and read the same. */
function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other) || inspect(one, inFull) === inspect(other, inFull)
}

const all = Number.POSITIVE_INFINITY
const inFull = { depth: all, maxArrayLength: all, maxStringLength: all, customInspect: false }

const builtIn = new Set<unknown>([Object, Array, Map, Set, Date, Uint8Array, Buffer, undefined])

function hasClass(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !builtIn.has(value.constructor)
}
