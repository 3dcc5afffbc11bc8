import type { Entry, StoreKey, StorePartition, TopicPartition } from '../../model/index.js'

/**
 * The entries of a store's part that have a key, or those that have none: where each partition is told by itself, records
 * without a key still are one group, for they lie in all of them.
 */
export class PartByKey<V> implements StorePartition<V> {
  readonly partition: TopicPartition

  constructor(
    private readonly part: StorePartition<V>,
    private readonly isKeyed: boolean,
  ) {
    this.partition = part.partition
  }

  *segments(): IterableIterator<number> {
    for (const segment of this.part.segments()) if (this.has(segment)) yield segment
  }

  segment(segment: number): ReadonlyMap<StoreKey, Entry<V>> | undefined {
    const entries = [...(this.part.segment(segment) ?? [])].filter(([key]) => this.takes(key))
    return entries.length === 0 ? undefined : new Map(entries)
  }

  get(segment: number, key: StoreKey): Entry<V> | undefined {
    return this.takes(key) ? this.part.get(segment, key) : undefined
  }

  add(segment: number, key: StoreKey, value: V): Entry<V> {
    return this.part.add(segment, key, value)
  }

  touch(entry: Entry<V>): void {
    this.part.touch(entry)
  }

  delete(segment: number, key: StoreKey): void {
    if (this.takes(key)) this.part.delete(segment, key)
  }

  dropSegment(segment: number): void {
    for (const key of [...(this.segment(segment)?.keys() ?? [])]) this.part.delete(segment, key)
  }

  private takes(key: StoreKey): boolean {
    return (key !== null) === this.isKeyed
  }

  private has(segment: number): boolean {
    const entries = this.part.segment(segment)
    if (entries === undefined) return false
    return this.isKeyed ? entries.size > (entries.has(null) ? 1 : 0) : entries.has(null)
  }
}

/** Whether a part has records without a key. */
export function hasKeyless(part: StorePartition<unknown>): boolean {
  for (const segment of part.segments()) if (part.get(segment, null) !== undefined) return true
  return false
}
