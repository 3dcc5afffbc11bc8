import type { StoreKey } from '../model/index.js'
import { StoredEntry } from './log-span.js'

/** When entries of a store go by themselves; `Infinity` where they don't. */
export interface Bounds {
  readonly ttlMs: number
  readonly maxKeys: number
  /** Called with each key that goes by itself. */
  readonly gone?: ((key: StoreKey) => void) | undefined
}

/** An entry of a bounded store, in the row of those that were touched one after the other. */
export class DatedEntry<V> extends StoredEntry<V> {
  /** The stream time of its partition when it was last touched, ms; -Infinity where that is not known. */
  touchedAt = Number.NEGATIVE_INFINITY
  /** Counts the touches of its store, so that those of one moment have an order too. */
  turn = 0
  older: DatedEntry<V> | undefined = undefined
  newer: DatedEntry<V> | undefined = undefined
}

/**
 * The entries of a bounded store in the order in which they were touched. It depends on the records of the partition
 * alone, and is part of the log: so what goes, and when, is the same in every replay.
 */
export class Recency<V> {
  size = 0
  private now = Number.NEGATIVE_INFINITY
  private turns = 0
  private oldest: DatedEntry<V> | undefined
  private newest: DatedEntry<V> | undefined
  /** Whether entries were restored since they were last put in order. */
  private isMixed = false
  /** Whether there are entries of which it is not known when they were touched. */
  private isUndated = false

  constructor(readonly bounds: Bounds) {}

  touch(entry: DatedEntry<V>): void {
    this.date(entry, this.now, ++this.turns)
    if (entry === this.newest) return
    this.remove(entry)
    this.append(entry)
  }

  /** Takes in an entry as the log has it; what was written before there were bounds says nothing of its touch. */
  restore(entry: DatedEntry<V>, touchedAt = Number.NEGATIVE_INFINITY, turn = 0): void {
    this.date(entry, touchedAt, turn)
    this.turns = Math.max(this.turns, turn)
    this.now = Math.max(this.now, touchedAt)
    this.isMixed = true
    if (!this.has(entry)) this.append(entry)
  }

  remove(entry: DatedEntry<V>): void {
    if (!this.has(entry)) return
    const { older, newer } = entry
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
    entry.older = entry.newer = undefined
    this.size--
  }

  /** Moves the time of the partition, which never goes back. Returns whether that may have ended the time of entries. */
  advance(streamTime: number): boolean {
    if (streamTime <= this.now && !this.isUndated) return false
    this.now = Math.max(this.now, streamTime)
    if (!this.isUndated) return true
    // Their time begins with the first that is known.
    this.isUndated = false
    for (const entry of this.entries()) if (entry.touchedAt === Number.NEGATIVE_INFINITY) entry.touchedAt = this.now
    return true
  }

  /** The next entry whose time is over. */
  expired(): DatedEntry<V> | undefined {
    this.order()
    return this.oldest !== undefined && this.now - this.oldest.touchedAt >= this.bounds.ttlMs ? this.oldest : undefined
  }

  /** The next entry that is one too many. */
  surplus(): DatedEntry<V> | undefined {
    if (this.size <= this.bounds.maxKeys) return undefined
    this.order()
    return this.oldest
  }

  private date(entry: DatedEntry<V>, touchedAt: number, turn: number): void {
    entry.touchedAt = touchedAt
    entry.turn = turn
    if (touchedAt === Number.NEGATIVE_INFINITY) this.isUndated = true
  }

  private has(entry: DatedEntry<V>): boolean {
    return entry.older !== undefined || this.oldest === entry
  }

  private append(entry: DatedEntry<V>): void {
    entry.older = this.newest
    if (this.newest === undefined) this.oldest = entry
    else this.newest.newer = entry
    this.newest = entry
    this.size++
  }

  /** A log has entries in the order in which they were written, and what is old is written again. */
  private order(): void {
    if (!this.isMixed) return
    this.isMixed = false
    for (const entry of [...this.entries()].sort((one, other) => one.turn - other.turn)) {
      this.remove(entry)
      this.append(entry)
    }
  }

  private *entries(): Generator<DatedEntry<V>> {
    for (let entry = this.oldest; entry !== undefined; entry = entry.newer) yield entry
  }
}
