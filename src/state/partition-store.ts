import type { StoreCodec, StoreKey, StorePartition, TopicPartition } from '../model/index.js'
import { release, StoredEntry } from './log-span.js'

type Segment<V> = Map<StoreKey, StoredEntry<V>>

/** One store's entries of one source partition, live in memory, and what the running epoch changed of them. */
export class PartitionStore<V> implements StorePartition<V> {
  private readonly bySegment = new Map<number, Segment<V>>()
  private touched: StoredEntry<V>[] = []
  private deleted: [number, StoreKey][] = []
  private dropped: number[] = []

  constructor(
    readonly name: string,
    readonly partition: TopicPartition,
    readonly codec: StoreCodec<V>,
  ) {}

  get size(): number {
    let size = 0
    for (const entries of this.bySegment.values()) size += entries.size
    return size
  }

  segment(segment: number): ReadonlyMap<StoreKey, StoredEntry<V>> | undefined {
    return this.bySegment.get(segment)
  }

  segments(): IterableIterator<number> {
    return this.bySegment.keys()
  }

  get(segment: number, key: StoreKey): StoredEntry<V> | undefined {
    return this.bySegment.get(segment)?.get(key)
  }

  add(segment: number, key: StoreKey, value: V): StoredEntry<V> {
    const entry = this.restore(segment, key, value)
    this.touch(entry)
    return entry
  }

  touch(entry: StoredEntry<V>): void {
    if (entry.touched) return
    entry.touched = true
    this.touched.push(entry)
  }

  delete(segment: number, key: StoreKey): void {
    if (this.forget(segment, key)) this.deleted.push([segment, key])
  }

  dropSegment(segment: number): void {
    if (this.forgetSegment(segment)) this.dropped.push(segment)
  }

  /** Puts an entry in place without counting it as a change. */
  restore(segment: number, key: StoreKey, value: V): StoredEntry<V> {
    const entry = new StoredEntry(segment, key, value)
    let entries = this.bySegment.get(segment)
    if (entries === undefined) this.bySegment.set(segment, (entries = new Map<StoreKey, StoredEntry<V>>()))
    const former = entries.get(key)
    if (former !== undefined) leave(former)
    entries.set(key, entry)
    return entry
  }

  forget(segment: number, key: StoreKey): boolean {
    const entries = this.bySegment.get(segment)
    const entry = entries?.get(key)
    if (entries === undefined || entry === undefined) return false
    leave(entry)
    entries.delete(key)
    if (entries.size === 0) this.bySegment.delete(segment)
    return true
  }

  forgetSegment(segment: number): boolean {
    for (const entry of this.bySegment.get(segment)?.values() ?? []) leave(entry)
    return this.bySegment.delete(segment)
  }

  /** Takes what changed since the last call; what was added and removed again is not in it. */
  takeChanges(): PartitionChanges<V> {
    const { dropped, deleted } = this
    const touched = this.touched.filter((entry) => entry.touched)
    for (const entry of touched) entry.touched = false
    this.touched = []
    this.deleted = []
    this.dropped = []
    return { dropped, deleted, touched }
  }
}

export interface PartitionChanges<V> {
  readonly dropped: readonly number[]
  readonly deleted: readonly (readonly [number, StoreKey])[]
  readonly touched: readonly StoredEntry<V>[]
}

/** Has an entry count neither as changed nor as part of the log: it is no longer there. */
function leave(entry: StoredEntry<unknown>): void {
  entry.touched = false
  release(entry)
}
