import {
  asWeirError,
  type Entry,
  type GroupKey,
  type OperatorContext,
  type Store,
  type StoreKey,
  type StorePartition,
  type StreamRecord,
  storeKeyOf,
  timeText,
  WeirError,
} from '../../model/index.js'
import type { Present } from './changed.js'
import { hasKeyless, PartByKey } from './keyless.js'
import type { Slices } from './slices.js'
import type { Trial } from './trial.js'
import { type Combined, dropDone, dueResults, type PartsOf, presentOf, Telling } from './window-results.js'

export interface GroupSettings {
  readonly by: ((value: unknown, record: StreamRecord) => GroupKey) | undefined
  /** Undefined when it sums up all time. */
  readonly slices: Slices | undefined
  /** Whether every change is emitted, or one final result. */
  readonly emitsChanges: boolean
  /** Whether entries go by themselves. */
  readonly isBounded: boolean
}

/**
 * Whether the groups of all partitions are one, or each partition has its own; in that case records without a key lie in all
 * partitions, or they have met in one as well.
 */
export type GroupScope = 'task' | 'partition' | 'met'

interface Telltale {
  readonly scope: GroupScope
  /** Called where the group of records without a key can't be told: parts of it are in other processes. */
  withheld(): void
}

/** What `aggregate` keeps of each key, slice of time and source partition; one object serves one epoch. */
export class Groups {
  private readonly place: Place<unknown>
  private readonly telling: Telling<unknown>

  constructor(
    private readonly aggregate: Combined,
    private readonly store: Store<unknown>,
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
    private readonly trial: Trial,
    private readonly around: Telltale,
  ) {
    const kept = { init: () => aggregate.init(), stateOf: (state: unknown) => state }
    this.place = new Place(settings, context, trial, kept, (record) => this.closedFor(record))
    this.telling = new Telling(aggregate, settings.slices, (value, partials) => partials.push(value), context)
  }

  /** Takes a record in. Returns false when it was rejected. */
  add(record: StreamRecord): boolean {
    const part = this.store.for(record)
    const entry = this.place.of(record, part)
    if (entry === undefined) return false
    try {
      entry.value = this.aggregate.add(entry.value, record.value, record, this.context.skipped)
    } catch (error) {
      throw this.trial.failed(error, record)
    }
    part.touch(entry)
    return true
  }

  /** The group that the last added record went to; undefined where that has to be withheld. */
  present(record: StreamRecord): Present | undefined {
    const { segment, entry } = this.place
    const key = this.place.key as StoreKey
    if (key === null && this.isApart) return void this.around.withheld()
    // A bounded store may have let go of it by the time that it is told.
    const known = this.settings.isBounded ? entry : undefined
    return presentOf(this.partsOf, { segment, key, entry: known }, this.closedFor(record), this.telling, record)
  }

  private readonly partsOf: PartsOf<unknown> = (key, { topic, partition }) => {
    const { scope } = this.around
    const isTogether = scope === 'task' || (scope === 'partition' && key === null)
    return isTogether ? [...this.store.partitions()] : [this.store.of(topic, partition)]
  };

  /** Yields the results of windows that the watermark has passed, where they are wanted, and drops what is over. */
  *close(): Generator<StreamRecord> {
    const { time } = this.context
    const parts = [...this.store.partitions()]
    if (this.around.scope === 'task') yield* this.closing(parts, time.closed, time.watermark())
    else yield* this.closingEach(parts)
  }

  /** Each partition has all records of its keys, and tells them by itself; those without a key lie in all of them. */
  private *closingEach(parts: readonly StorePartition<unknown>[]): Generator<StreamRecord> {
    const { time } = this.context
    const { scope, withheld } = this.around
    const keyless = scope === 'partition' && (parts.length > 1 || this.isApart) ? parts.filter(hasKeyless) : []
    for (const part of parts) {
      const { topic, partition } = part.partition
      const keyed = keyless.includes(part) ? new PartByKey(part, true) : part
      yield* this.closing([keyed], time.closedOf(topic, partition), time.watermarkOf(part.partition))
    }
    if (this.isApart) {
      if (keyless.some((part) => this.isDue(part))) withheld()
      return
    }
    const without = keyless.map((part) => new PartByKey(part, false))
    yield* this.closing(without, Number.NEGATIVE_INFINITY, time.watermark())
  }

  /** Whether other processes have parts of the group of records without a key. */
  private get isApart(): boolean {
    return this.around.scope === 'partition' && !this.context.time.isWhole
  }

  /** Whether a partition by itself would have results to tell of records without a key. */
  private isDue(part: StorePartition<unknown>): boolean {
    const watermark = this.context.time.watermarkOf(part.partition)
    const segments = new PartByKey(part, false).segments()
    return (this.settings.slices?.due(segments, { closed: Number.NEGATIVE_INFINITY, watermark }).length ?? 0) > 0
  }

  private *closing(
    parts: readonly StorePartition<unknown>[],
    closed: number,
    watermark: number,
  ): Generator<StreamRecord> {
    const { slices, emitsChanges } = this.settings
    if (slices === undefined) return
    if (!emitsChanges) yield* dueResults(parts, { closed, watermark }, slices, this.telling, this.context.stage)
    dropDone(parts, watermark, slices)
  }

  /** Records without a key lie in all partitions, and so does what is told of them. */
  private closedFor({ key, origin: { topic, partition } }: StreamRecord): number {
    const { time } = this.context
    const { scope } = this.around
    if (scope === 'task') return time.closed
    const own = time.closedOf(topic, partition)
    return scope === 'partition' && key === null ? Math.max(own, time.closed) : own
  }
}

/** What a group's entry holds. */
interface Kept<V> {
  init(): V
  stateOf(value: V): unknown
}

/** Where records go: finds the slice and the entry of each, and rejects those that can't be taken in. */
export class Place<V> {
  /** Where the last record went: in a row of records most go to the same place. */
  segment = 0
  key: StoreKey | undefined
  private from = Number.POSITIVE_INFINITY
  private until = Number.NEGATIVE_INFINITY
  /** The windows that the last record lay in, and the first of them that was open to it. */
  private first = 0
  private last = 0
  private firstOpen = 0
  entry: Entry<V> | undefined
  private part: StorePartition<V> | undefined

  constructor(
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
    private readonly trial: Trial,
    private readonly kept: Kept<V>,
    /** Up to where results are out, as far as a record has to care. */
    private readonly closedFor: (record: StreamRecord) => number,
  ) {}

  /** The entry of a record; undefined when it was rejected. */
  of(record: StreamRecord, part: StorePartition<V>): Entry<V> | undefined {
    const { by, slices } = this.settings
    if (slices !== undefined && !this.choose(record, slices)) return undefined
    let key: StoreKey = null
    try {
      if (by !== undefined) key = storeKeyOf(by(record.value, record))
    } catch (error) {
      this.context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
      return undefined
    }
    return this.trial.isOn && !this.passes(record, part, key) ? undefined : this.find(part, key)
  }

  /**
   * Finds the slice of a record: its windows, without those that its own partition's watermark had passed when it came.
   * That depends on the order of the partition's records alone, so a replay finds the same slice. Rejects the record
   * when all its windows have closed, or their results are out.
   */
  private choose(record: StreamRecord, slices: Slices): boolean {
    const { timestamp, origin } = record
    if (timestamp < this.from || timestamp >= this.until) this.enter(timestamp, slices)
    const own = timestamp + record.behindMs - this.context.time.outOfOrderMsOf(origin.topic)
    const watermark = Math.max(own, this.closedFor(record))
    const end = slices.closesAt(this.last)
    if (end <= watermark) {
      this.context.reject(record, lateError(this.last + slices.size, watermark))
      return false
    }
    const firstOpen = slices.closesAt(this.first) > own ? this.first : slices.firstOpen(own)
    if (firstOpen !== this.firstOpen) this.open(firstOpen, slices)
    return true
  }

  private enter(timestamp: number, slices: Slices): void {
    ;[this.from, this.until] = slices.sameAs(timestamp)
    this.first = slices.firstAt(timestamp)
    this.last = slices.lastAt(timestamp)
    this.open(this.first, slices)
  }

  private open(first: number, slices: Slices): void {
    this.firstOpen = first
    this.segment = slices.segmentOf(first, this.last)
    this.entry = undefined
  }

  private passes(record: StreamRecord, part: StorePartition<V>, key: StoreKey): boolean {
    const entry = part.get(this.segment, key)
    return this.trial.passes(record, entry && { state: this.kept.stateOf(entry.value) })
  }

  private find(part: StorePartition<V>, key: StoreKey): Entry<V> {
    const isSame = key === this.key && part === this.part && !this.settings.isBounded
    if (isSame && this.entry !== undefined) return this.entry
    this.part = part
    this.key = key
    this.entry = part.get(this.segment, key) ?? part.add(this.segment, key, this.kept.init())
    return this.entry
  }
}

export function lateError(end: number, watermark: number): WeirError {
  const message = `adding to a window: it ended at ${timeText(end)}, the watermark is ${timeText(watermark)}`
  return new WeirError('WEIR_RECORD_LATE', message, {
    hint: 'Raise outOfOrder or grace to wait longer for late records.',
  })
}
