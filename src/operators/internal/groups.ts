import {
  asWeirError,
  type Entry,
  type OperatorContext,
  type Store,
  type StoreKey,
  type StorePartition,
  type StreamRecord,
  WeirError,
} from '../../model/index.js'
import type { WindowOptions } from '../windows.js'
import type { Present } from './changed.js'
import { type Combined, closing, merged, resultOf, windowOf } from './window-results.js'

export interface GroupSettings {
  readonly by: ((value: unknown, record: StreamRecord) => StoreKey) | undefined
  readonly window: WindowOptions | undefined
  /** Whether every change is emitted, or one final result. */
  readonly emitsChanges: boolean
}

/** What `aggregate` keeps of each key, window and source partition; one object serves one epoch. */
export class Groups {
  private place: Place<unknown>

  constructor(
    private readonly aggregate: Combined,
    private readonly store: Store<unknown>,
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
    /** Whether the groups of all partitions are one, or each partition has its own. */
    private readonly scope: 'task' | 'partition',
  ) {
    const { time } = context
    this.place = new Place(settings, context, aggregate.init, (topic, partition) =>
      scope === 'task' ? time.closed : time.closedOf(topic, partition),
    )
  }

  /** Takes a record in. Returns false when it was late, and rejected. */
  add(record: StreamRecord): boolean {
    const part = this.store.of(record.origin.topic, record.origin.partition)
    const entry = this.place.of(record, part)
    if (entry === undefined) return false
    try {
      entry.value = this.aggregate.add(entry.value, record.value, record)
    } catch (error) {
      throw failure(error, record, this.context)
    }
    part.touch(entry)
    return true
  }

  /** The group that the last added record went to. */
  present({ timestamp, origin, behindMs }: StreamRecord): Present {
    const start = this.place.start
    const key = this.place.key as StoreKey
    const { window } = this.settings
    const result = () => {
      const parts =
        this.scope === 'task' ? [...this.store.partitions()] : [this.store.of(origin.topic, origin.partition)]
      const value = merged(this.aggregate, parts, start, key)
      return resultOf(window && windowOf(start, window), key, value, { timestamp, origin, behindMs })
    }
    return { start, key, result }
  }

  /** Takes out every window that the watermark has passed, oldest first, and yields the result of each key in it. */
  *close(): Generator<StreamRecord> {
    const { window } = this.settings
    if (window === undefined) return
    const { time, stage } = this.context
    const parts = [...this.store.partitions()]
    const valueOf = (some: readonly StorePartition<unknown>[], start: number, key: StoreKey) =>
      merged(this.aggregate, some, start, key)
    if (this.scope === 'task') yield* closing(parts, time.watermark(), window, stage, valueOf)
    else for (const part of parts) yield* closing([part], time.watermarkOf(part.partition), window, stage, valueOf)
  }
}

/** Where records go: finds the window and the entry of each, and rejects the late ones. */
export class Place<V> {
  /** Where the last record went: in a row of records most go to the same place. */
  start = 0
  key: StoreKey | undefined
  private end = Number.NEGATIVE_INFINITY
  private part: StorePartition<V> | undefined
  private entry: Entry<V> | undefined

  constructor(
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
    private readonly init: () => V,
    /** Up to where results are out, as far as a record of this partition has to care. */
    private readonly closedFor: (topic: string, partition: number) => number,
  ) {}

  /** The entry of a record; undefined when it was late, and rejected. */
  of(record: StreamRecord, part: StorePartition<V>): Entry<V> | undefined {
    const { by, window } = this.settings
    if (window !== undefined && !this.choose(record, part, window)) return undefined
    if (by === undefined) return this.find(part, null)
    try {
      return this.find(part, by(record.value, record))
    } catch (error) {
      throw failure(error, record, this.context)
    }
  }

  /** Finds the window of a record; rejects the record when that has closed. */
  private choose(record: StreamRecord, part: StorePartition<V>, { size, grace }: WindowOptions): boolean {
    const { timestamp } = record
    if (timestamp < this.start || timestamp >= this.end || part !== this.part) {
      this.start = Math.floor(timestamp / size) * size
      this.end = this.start + size
      this.entry = undefined
    }
    const closed = this.closedFor(record.origin.topic, record.origin.partition)
    const watermark = Math.max(timestamp + record.behindMs - this.context.time.outOfOrderMs, closed)
    if (this.end + grace > watermark) return true
    this.context.reject(record, lateError(this.end, watermark))
    return false
  }

  private find(part: StorePartition<V>, key: StoreKey): Entry<V> {
    if (this.entry !== undefined && key === this.key && part === this.part) return this.entry
    this.part = part
    this.key = key
    this.entry = part.get(this.start, key) ?? part.add(this.start, key, this.init())
    return this.entry
  }
}

/** What the code of an aggregate threw, with the record that it threw it at. */
export function failure(error: unknown, { origin }: StreamRecord, { stage }: OperatorContext): WeirError {
  const { topic, partition, offset } = origin
  return asWeirError(error, 'WEIR_STAGE_FAILED', { stage, partition: { topic, partition }, offset })
}

export function lateError(end: number, watermark: number): WeirError {
  const [closed, now] = [new Date(end).toISOString(), new Date(watermark).toISOString()]
  return new WeirError('WEIR_RECORD_LATE', `adding to a window: it ended at ${closed}, the watermark is ${now}`, {
    hint: 'Raise outOfOrder or grace to wait longer for late records.',
  })
}
