import type { Duration } from './duration.js'
import type { TopicPartition } from './partition.js'
import type { StreamRecord } from './record.js'

/** Counts up when a stored form changes; of a codec made of several, the version of each. */
export type CodecVersion = number | readonly CodecVersion[]

/** What a store's values look like on disk, and how a change of one is told apart from the whole. */
export interface StoreCodec<V> {
  readonly version: CodecVersion
  /** The whole value, as something MessagePack can carry. */
  save(value: V): unknown
  /** The inverse of `save`; `version` is the codec version that the value was saved under. */
  load(saved: unknown, version: CodecVersion): V
  /**
   * What changed since the last call of `save` or `changes`, when that is less than the whole: the new elements of a
   * set, say. Without it the whole value is written.
   */
  changes?(value: V): unknown
  /** Puts back what `changes` told; `version` is the codec version that they were saved under. */
  apply?(value: V, changes: unknown, version: CodecVersion): V
  /**
   * About how many bytes the saved value takes, where changes make it grow and it can tell in no time: then they are not
   * taken for repetitions of the whole, which is written again when there have been as many bytes of them as it has.
   */
  size?(value: V): number
  /**
   * What to fail with where something that it made is nothing that can be kept, for it holds functions, say; told so by who
   * packs it. Default: with that.
   */
  unkept?(error: unknown): unknown
}

/** A value in a store. Stages change `value` in place or replace it, and then `touch` the entry. */
export interface Entry<V> {
  value: V
}

/** A key that a store can hold: it goes into the changelog as it is. */
export type StoreKey = string | number | null

/**
 * The part of a store that belongs to one source partition. Entries lie in segments, a window store's segment being
 * the window's start, so that a closed window is dropped as one change. A store without windows has segment 0 only.
 */
export interface StorePartition<V> {
  readonly partition: TopicPartition
  segment(segment: number): ReadonlyMap<StoreKey, Entry<V>> | undefined
  segments(): IterableIterator<number>
  get(segment: number, key: StoreKey): Entry<V> | undefined
  /** Adds an entry; it counts as touched. */
  add(segment: number, key: StoreKey, value: V): Entry<V>
  /** Marks an entry as changed in this epoch. */
  touch(entry: Entry<V>): void
  delete(segment: number, key: StoreKey): void
  dropSegment(segment: number): void
}

/**
 * When entries of a store go by themselves: out of memory, out of the changelog, and for good. What is touched later
 * begins anew. Which ones go, and when, depends on the records of their partition alone.
 */
export interface StoreBounds {
  /** How long an entry stays that is not touched, by the stream time of its partition. */
  readonly ttl?: Duration | undefined
  /** How many entries each partition keeps: the one that was touched longest ago makes room for one more. */
  readonly maxKeys?: number | undefined
  /**
   * Called with each key that goes, while a record is taken in. What has outlived its `ttl` then goes with the next
   * record of its partition, and not before: so whatever goes does so within an epoch, which can tell it.
   */
  readonly gone?: ((key: StoreKey) => void) | undefined
}

/**
 * Named keyed state, partitioned as its source is. It changes with the epoch: what an epoch changed is committed with
 * its positions, or falls back with them.
 */
export interface Store<V> {
  readonly name: string
  /** The part of one source partition. Ask anew for each record: partitions come and go. */
  of(topic: string, partition: number): StorePartition<V>
  /**
   * The part of a record's source partition, as of when the record came: what has outlived its `ttl` by then is gone.
   * Entries of bounded stores are not to be kept from one record to the next.
   */
  for(record: StreamRecord): StorePartition<V>
  /** The parts of all partitions that are assigned here. */
  partitions(): IterableIterator<StorePartition<V>>
}
