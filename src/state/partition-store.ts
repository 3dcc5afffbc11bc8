import type { StoreCodec, StoreKey, StorePartition, TopicPartition } from '../model/index.js'
import { release, StoredEntry } from './log-span.js'
import { type Bounds, DatedEntry, Recency } from './recency.js'

type Segment<V> = Map<StoreKey, StoredEntry<V>>

/** One store's entries of one source partition, live in memory, and what the running epoch changed of them. */
export class PartitionStore<V> implements StorePartition<V> {
  private readonly bySegment = new Map<number, Segment<V>>()
  private touched: StoredEntry<V>[] = []
  private deleted: [number, StoreKey][] = []
  private dropped: number[] = []
  /** Of a bounded store, whose entries are all dated. */
  private readonly recency: Recency<V> | undefined
  private expired = 0
  private evicted = 0

  constructor(
    readonly name: string,
    readonly partition: TopicPartition,
    readonly codec: StoreCodec<V>,
    bounds?: Bounds,
  ) {
    this.recency = bounds && new Recency(bounds)
  }

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
    const entry = this.put(segment, key, value)
    this.touch(entry)
    this.evict()
    return entry
  }

  touch(entry: StoredEntry<V>): void {
    if (this.recency !== undefined) {
      // What has gone by itself meanwhile does not come back.
      if (this.get(entry.segment, entry.key) !== entry) return
      this.recency.touch(entry as DatedEntry<V>)
    }
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

  /** Moves the time of the partition, and drops what was not touched for as long as entries live. */
  advance(streamTime: number): void {
    if (this.recency?.advance(streamTime) !== true) return
    for (let entry = this.recency.expired(); entry !== undefined; entry = this.recency.expired()) {
      this.letGo(entry)
      this.expired++
    }
  }

  /** Puts an entry in place without counting it as a change, as it was last touched. */
  restore(segment: number, key: StoreKey, value: V, touchedAt?: number, turn?: number): StoredEntry<V> {
    const entry = this.put(segment, key, value)
    this.redate(entry, touchedAt, turn)
    return entry
  }

  /** Says how an entry that was put in place has been touched since. */
  redate(entry: StoredEntry<V>, touchedAt?: number, turn?: number): void {
    this.recency?.restore(entry as DatedEntry<V>, touchedAt, turn)
  }

  forget(segment: number, key: StoreKey): boolean {
    const entries = this.bySegment.get(segment)
    const entry = entries?.get(key)
    if (entries === undefined || entry === undefined) return false
    this.leave(entry)
    entries.delete(key)
    if (entries.size === 0) this.bySegment.delete(segment)
    return true
  }

  forgetSegment(segment: number): boolean {
    for (const entry of this.bySegment.get(segment)?.values() ?? []) this.leave(entry)
    return this.bySegment.delete(segment)
  }

  /** What has gone by itself since the last call. */
  takeLosses(): Losses {
    const { expired, evicted } = this
    this.expired = this.evicted = 0
    return { expired, evicted }
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

  private put(segment: number, key: StoreKey, value: V): StoredEntry<V> {
    const entry =
      this.recency === undefined ? new StoredEntry(segment, key, value) : new DatedEntry(segment, key, value)
    let entries = this.bySegment.get(segment)
    if (entries === undefined) this.bySegment.set(segment, (entries = new Map<StoreKey, StoredEntry<V>>()))
    const former = entries.get(key)
    if (former !== undefined) this.leave(former)
    entries.set(key, entry)
    return entry
  }

  private evict(): void {
    for (let entry = this.recency?.surplus(); entry !== undefined; entry = this.recency?.surplus()) {
      this.letGo(entry)
      this.evicted++
    }
  }

  private letGo({ segment, key }: StoredEntry<V>): void {
    this.delete(segment, key)
    this.recency?.bounds.gone?.(key)
  }

  /** Has an entry count neither as changed nor as part of the log: it is no longer there. */
  private leave(entry: StoredEntry<V>): void {
    entry.touched = false
    release(entry)
    this.recency?.remove(entry as DatedEntry<V>)
  }
}

export interface PartitionChanges<V> {
  readonly dropped: readonly number[]
  readonly deleted: readonly (readonly [number, StoreKey])[]
  readonly touched: readonly StoredEntry<V>[]
}

/** How many entries of a bounded store are gone: not touched for too long, or one too many. */
export interface Losses {
  readonly expired: number
  readonly evicted: number
}
