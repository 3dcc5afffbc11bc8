import type { combine } from '../../aggregates/index.js'
import {
  asWeirError,
  type Entry,
  noHeaders,
  type OperatorContext,
  type Store,
  type StoreKey,
  type StorePartition,
  StreamRecord,
  WeirError,
} from '../../model/index.js'
import type { Aggregated, Window, Windowed, WindowOptions } from '../windows.js'

type By = (value: unknown, record: StreamRecord) => StoreKey

/** What `aggregate` keeps of each key, window and source partition; one object serves one epoch. */
export class Groups {
  /** Where the last record went: in a row of records most go to the same place. */
  private start = 0
  private end = Number.NEGATIVE_INFINITY
  private key: StoreKey | undefined
  private part: StorePartition<unknown> | undefined
  private entry: Entry<unknown> | undefined

  constructor(
    private readonly aggregate: ReturnType<typeof combine>,
    private readonly store: Store<unknown>,
    private readonly by: By | undefined,
    private readonly window: WindowOptions | undefined,
    private readonly context: OperatorContext,
  ) {}

  /** Takes a record in. Returns false when it was late, and rejected. */
  add(record: StreamRecord): boolean {
    const { topic, partition } = record.origin
    const part = this.store.of(topic, partition)
    if (this.window !== undefined && !this.place(record, part, this.window)) return false
    try {
      const key = this.by === undefined ? null : this.by(record.value, record)
      const entry = this.find(part, key)
      entry.value = this.aggregate.add(entry.value, record.value, record)
      part.touch(entry)
    } catch (error) {
      const { offset } = record.origin
      throw asWeirError(error, 'WEIR_STAGE_FAILED', {
        stage: this.context.stage,
        partition: { topic, partition },
        offset,
      })
    }
    return true
  }

  /** The present result of the group that the last added record went to. */
  current({ timestamp, origin, behindMs }: StreamRecord): StreamRecord {
    const key = this.key as StoreKey
    const window = this.window && windowOf(this.start, this.window)
    const value = this.outcome([...this.store.partitions()], this.start, key, window)
    return new StreamRecord(recordKey(key), value, timestamp, noHeaders, origin, behindMs)
  }

  /** Takes out every window that the watermark has passed, oldest first, and yields the result of each key in it. */
  *close(): Generator<StreamRecord> {
    if (this.window === undefined) return
    const { size, grace } = this.window
    const watermark = this.context.time.watermark()
    const parts = [...this.store.partitions()]
    // A result has no one record that it stems from.
    const origin = { topic: this.context.stage, partition: -1, offset: -1 }
    for (const start of startsOf(parts)) {
      if (start + size + grace > watermark) return
      const window = windowOf(start, this.window)
      for (const key of keysOf(parts, start)) {
        const value = this.outcome(parts, start, key, window)
        yield new StreamRecord(recordKey(key), value, start + size - 1, noHeaders, origin)
      }
      for (const part of parts) part.dropSegment(start)
    }
  }

  /** Finds the window of a record; rejects the record when that has closed. */
  private place(record: StreamRecord, part: StorePartition<unknown>, { size, grace }: WindowOptions): boolean {
    const { timestamp } = record
    if (timestamp < this.start || timestamp >= this.end || part !== this.part) {
      this.start = Math.floor(timestamp / size) * size
      this.end = this.start + size
      this.entry = undefined
    }
    const { time } = this.context
    const watermark = Math.max(timestamp + record.behindMs - time.outOfOrderMs, time.closed)
    if (this.end + grace > watermark) return true
    this.context.reject(record, lateError(this.end, watermark))
    return false
  }

  private find(part: StorePartition<unknown>, key: StoreKey): Entry<unknown> {
    if (this.entry !== undefined && key === this.key && part === this.part) return this.entry
    this.part = part
    this.key = key
    this.entry = part.get(this.start, key) ?? part.add(this.start, key, this.aggregate.init())
    return this.entry
  }

  /** Merges what the partitions have of a group, and tells its result. */
  private outcome(
    parts: readonly StorePartition<unknown>[],
    start: number,
    key: StoreKey,
    window: Window | undefined,
  ): Aggregated<unknown, StoreKey> | Windowed<unknown, StoreKey> {
    const { aggregate } = this
    const partials: unknown[] = []
    for (const part of parts) {
      const entry = part.get(start, key)
      if (entry !== undefined) partials.push(entry.value)
    }
    const whole =
      partials.length === 1 ? partials[0] : partials.reduce((all, one) => aggregate.merge(all, one), aggregate.init())
    const value = aggregate.result(whole)
    return window === undefined ? { key, value } : { key, window, value }
  }
}

function startsOf(parts: readonly StorePartition<unknown>[]): number[] {
  return [...new Set(parts.flatMap((part) => [...part.segments()]))].sort((a, b) => a - b)
}

function keysOf(parts: readonly StorePartition<unknown>[], start: number): Set<StoreKey> {
  const keys = new Set<StoreKey>()
  for (const part of parts) for (const key of part.segment(start)?.keys() ?? []) keys.add(key)
  return keys
}

function windowOf(start: number, { size }: WindowOptions): Window {
  return { start: new Date(start), end: new Date(start + size) }
}

function recordKey(key: StoreKey): string | null {
  return key === null ? null : String(key)
}

function lateError(end: number, watermark: number): WeirError {
  const [closed, now] = [new Date(end).toISOString(), new Date(watermark).toISOString()]
  return new WeirError('WEIR_RECORD_LATE', `adding to a window: it ended at ${closed}, the watermark is ${now}`, {
    hint: 'Raise outOfOrder or grace to wait longer for late records.',
  })
}
