import type { Entry, StoreKey } from '../model/index.js'

/** An entry with what the changelog has to know of it. */
export class StoredEntry<V> implements Entry<V> {
  /** Whether it changed in this epoch, and is still there. */
  touched = false
  /** Where in the log the last whole value lies; undefined when none does. */
  span: LogSpan | undefined = undefined
  /** How much the value would take if it were written now. */
  liveBytes = 0
  /** How much of the log it takes: that whole value, and its changes since. */
  writtenBytes = 0

  constructor(
    readonly segment: number,
    readonly key: StoreKey,
    public value: V,
  ) {}
}

/** A stretch of a partition's log, and the entries whose last whole value lies in it. */
export class LogSpan {
  /** What was written into it. */
  logBytes = 0
  /** What its entries' values take: so much has to be written before it can be dropped. */
  liveBytes = 0
  /** By store, in the order in which they were saved; those that were saved again since, or are gone, are passed over. */
  private entries: StoredEntry<unknown>[][] = []

  /** `from` is the sequence of its first chunk: without this span the log before the next one is obsolete. */
  constructor(readonly from: number) {}

  /** Takes over an entry whose whole value was just written here. */
  hold(store: number, entry: StoredEntry<unknown>, bytes: number): void {
    release(entry)
    entry.span = this
    entry.liveBytes = bytes
    entry.writtenBytes = bytes
    this.liveBytes += bytes
    ;(this.entries[store] ??= []).push(entry)
  }

  /**
   * A change of an entry held here was written; the value takes so much now, as far as its codec can tell: it takes no more
   * than was written of it, whatever that says.
   */
  change(entry: StoredEntry<unknown>, bytes: number, size = 0): void {
    entry.writtenBytes += bytes
    const growth = size > entry.liveBytes ? Math.min(size, entry.writtenBytes) - entry.liveBytes : 0
    entry.liveBytes += growth
    this.liveBytes += growth
  }

  /** Lets go of what an entry that is gone, or saved elsewhere, had here. */
  letGo(bytes: number): void {
    this.liveBytes -= bytes
    // Nothing is left to be found: entries of other spans, and what their values hold, need not stay in memory.
    if (this.liveBytes === 0) this.entries = []
  }

  /** Takes out an entry that is still held here, and the index of its store; undefined when there is none left. */
  next(): readonly [store: number, entry: StoredEntry<unknown>] | undefined {
    for (const [store, entries] of this.entries.entries()) {
      for (let entry = entries?.pop(); entry !== undefined; entry = entries.pop()) {
        if (entry.span === this) return [store, entry]
      }
    }
    // Whatever was said of sizes: with nothing left to be written again it can be dropped.
    this.liveBytes = 0
    return undefined
  }
}

/** Says that the whole value that was saved last counts no more. */
export function release(entry: StoredEntry<unknown>): void {
  entry.span?.letGo(entry.liveBytes)
  entry.span = undefined
}
