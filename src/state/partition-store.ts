import type { Entry, StoreCodec, StoreKey, StorePartition, TopicPartition } from '../model/index.js'

/** An entry with what the changelog has to know of it. */
export class StoredEntry<V> implements Entry<V> {
  /** Whether it changed in this epoch. */
  touched = false
  /** The sequence of the last chunk that holds the whole value; 0 when none does. */
  savedAt = 0

  constructor(
    readonly segment: number,
    readonly key: StoreKey,
    public value: V,
  ) {}
}

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

  segment(segment: number): ReadonlyMap<StoreKey, Entry<V>> | undefined {
    return this.bySegment.get(segment)
  }

  segments(): IterableIterator<number> {
    return this.bySegment.keys()
  }

  get(segment: number, key: StoreKey): StoredEntry<V> | undefined {
    return this.bySegment.get(segment)?.get(key)
  }

  add(segment: number, key: StoreKey, value: V): StoredEntry<V> {
    const entry = this.restore(segment, key, value, 0)
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
  restore(segment: number, key: StoreKey, value: V, savedAt: number): StoredEntry<V> {
    const entry = new StoredEntry(segment, key, value)
    entry.savedAt = savedAt
    const entries = this.bySegment.get(segment) ?? new Map<StoreKey, StoredEntry<V>>()
    if (entries.size === 0) this.bySegment.set(segment, entries)
    entries.set(key, entry)
    return entry
  }

  forget(segment: number, key: StoreKey): boolean {
    const entries = this.bySegment.get(segment)
    if (entries?.delete(key) !== true) return false
    if (entries.size === 0) this.bySegment.delete(segment)
    return true
  }

  forgetSegment(segment: number): boolean {
    // The map is emptied too, so that a walk that is inside it ends.
    this.bySegment.get(segment)?.clear()
    return this.bySegment.delete(segment)
  }

  /** Takes what changed since the last call; what was added and removed again is not in it. */
  takeChanges(): PartitionChanges<V> {
    const { dropped, deleted } = this
    const touched = this.touched.filter((entry) => this.get(entry.segment, entry.key) === entry)
    for (const entry of this.touched) entry.touched = false
    this.touched = []
    this.deleted = []
    this.dropped = []
    return { dropped, deleted, touched }
  }

  /** All entries in the order in which they were added; entries may come and go during the walk. */
  *entries(): Generator<StoredEntry<V>> {
    for (const entries of this.bySegment.values()) yield* entries.values()
  }
}

export interface PartitionChanges<V> {
  readonly dropped: readonly number[]
  readonly deleted: readonly (readonly [number, StoreKey])[]
  readonly touched: readonly StoredEntry<V>[]
}
