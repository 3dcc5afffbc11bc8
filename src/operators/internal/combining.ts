import {
  CombinedRecord,
  noHeaders,
  type OperatorContext,
  PartialResult,
  PartitionMap,
  type PartitionTold,
  recordKeyOf,
  type Store,
  type StoreCodec,
  type StoreKey,
  type StorePartition,
  StreamRecord,
} from '../../model/index.js'
import { type GroupSettings, Place } from './groups.js'
import type { Slices } from './slices.js'
import type { Trial } from './trial.js'
import type { Combined } from './window-results.js'

/** What one source partition has of a group so far, and what of it was sent on. */
export class Combination {
  /**
   * The highest place of the records that were taken in: their offset, and before it those of topics that theirs has taken the
   * place of, so that it goes on where those ended.
   */
  last = -1
  /** `last` as it was when this was sent; -1 when it was not. */
  sent = -1
  /** Whether it waits to be sent at the end of this epoch. */
  queued = false
  /** Changes that sending has taken out of `state`, and the changelog has not seen. */
  unlogged: unknown[] = []

  constructor(public state: unknown) {}
}

type CombiningStore = Store<Combination>
type Part = StorePartition<Combination>

/** The partitions of which everything was sent on, and nothing has come since. A restored one is another object. */
export class SentPartitions extends WeakSet<Part> {}

/** Changes go to the changelog as lists: sending takes changes out of a state as a commit does. */
export function combiningCodec(inner: StoreCodec<unknown>): StoreCodec<Combination> {
  const whole: StoreCodec<Combination> = {
    version: [1, inner.version],
    save(combination) {
      combination.unlogged = []
      return [combination.last, inner.save(combination.state)]
    },
    load(saved, version) {
      const [last, state] = saved as [number, unknown]
      const combination = new Combination(inner.load(state, (version as readonly [number, never])[1]))
      combination.last = last
      return combination
    },
    ...(inner.unkept && { unkept: inner.unkept }),
  }
  const { changes, apply } = inner
  if (changes === undefined || apply === undefined) return whole
  return {
    ...whole,
    changes(combination) {
      const { last, unlogged, state } = combination
      combination.unlogged = []
      return [last, ...unlogged, changes.call(inner, state)]
    },
    apply(combination, saved, version) {
      const [last, ...all] = saved as [number, ...unknown[]]
      for (const change of all)
        combination.state = apply.call(inner, combination.state, change, (version as readonly [number, never])[1])
      combination.last = last
      return combination
    },
    size: ({ state }) => inner.size?.(state) ?? 0,
  }
}

/**
 * The first half of an aggregate whose groups lie in several partitions: combines the records of each source partition.
 *
 * A slice is sent when its own partition's watermark has passed the first of its windows, so that one message holds all
 * of it, and is then left to the second half, which has the other windows wait for it. A partition that goes idle is not
 * awaited any more, so all that it has is sent before that is told; should more come, the whole is sent again later and
 * takes the place of the earlier one.
 */
export class Combining {
  private readonly place: Place<Combination>
  private touched: Part | undefined
  private reading: Part | undefined
  private before = 0
  /** What was known of the partitions when the first record came. */
  private known: PartitionMap<PartitionTold> | undefined
  private readonly changed: { readonly part: Part; readonly segment: number; readonly key: StoreKey }[] = []

  constructor(
    private readonly aggregate: Combined,
    private readonly store: CombiningStore,
    private readonly sent: SentPartitions,
    private readonly settings: GroupSettings,
    private readonly trial: Trial,
    private readonly context: OperatorContext,
  ) {
    const kept = { init: () => new Combination(aggregate.init()), stateOf: ({ state }: Combination) => state }
    // What is late is decided by what every process knows: whoever has the partition next must decide the same.
    this.place = new Place(settings, context, trial, kept, () => Number.NEGATIVE_INFINITY)
  }

  /**
   * Takes a record in, or rejects it. Returns what has to be sent ahead of it, where others may have gone on without its
   * partition.
   */
  add(record: StreamRecord): StreamRecord<CombinedRecord> | undefined {
    const { topic, partition, offset } = record.origin
    const part = this.store.of(topic, partition)
    const entry = this.place.of(record, part)
    if (entry === undefined) return undefined
    const combination = entry.value
    try {
      combination.state = this.aggregate.add(combination.state, record.value, record, this.context.skipped)
    } catch (error) {
      throw this.trial.failed(error, record)
    }
    // Which need not be the last one: what comes before the aggregate may have changed the order.
    combination.last = Math.max(combination.last, this.beforeOf(part) + offset)
    combination.sent = -1
    part.touch(entry)
    if (this.settings.emitsChanges) this.queue(part, combination)
    else if (part !== this.touched) {
      this.touched = part
      this.sent.delete(part)
    }
    return this.settings.slices !== undefined && this.context.time.toldIdle(topic, partition)
      ? this.ahead(record)
      : undefined
  }

  /** What has to be sent at the end of an epoch. */
  *due(): Generator<StreamRecord<PartialResult>> {
    const told = this.told()
    const of = ({ partition: { topic, partition } }: Part) => told.get(topic, partition) as PartitionTold
    for (const { part, segment, key } of this.changed) {
      const combination = part.get(segment, key)?.value
      if (combination !== undefined) yield this.send(of(part), segment, key, combination)
    }
    if (this.settings.slices === undefined) return
    for (const part of this.store.partitions()) {
      yield* this.close(part, of(part), this.settings.slices)
      yield* this.flushIdle(part, of(part))
    }
  }

  /** How many places went by before the topic that is read. In a row of records most are of one partition. */
  private beforeOf(part: Part): number {
    if (part === this.reading) return this.before
    const { topic, partition } = part.partition
    this.reading = part
    this.known ??= this.told()
    this.before = this.known.get(topic, partition)?.before ?? 0
    return this.before
  }

  private told(): PartitionMap<PartitionTold> {
    const told = new PartitionMap<PartitionTold>()
    const { time } = this.context
    for (const one of [...time.told(), ...time.left()]) told.set(one.topic, one.partition, one)
    return told
  }

  private ahead(record: StreamRecord): StreamRecord<CombinedRecord> {
    const key = this.place.key as StoreKey
    const { segment } = this.place
    const combined = new CombinedRecord(record, segment, key)
    return new StreamRecord(key === null ? null : String(key), combined, segment, noHeaders, record.origin)
  }

  private queue(part: Part, combination: Combination): void {
    if (combination.queued) return
    combination.queued = true
    this.changed.push({ part, segment: this.place.segment, key: this.place.key as StoreKey })
  }

  private *close(part: Part, told: PartitionTold, slices: Slices): Generator<StreamRecord<PartialResult>> {
    for (const segment of sorted(part.segments())) {
      if (!slices.isComplete(segment, told.watermark)) continue
      yield* this.unsentOf(part, told, segment)
      part.dropSegment(segment)
    }
  }

  private *flushIdle(part: Part, told: PartitionTold): Generator<StreamRecord<PartialResult>> {
    if (!(told.idle || told.movedOnMs > 0) || this.sent.has(part)) return
    for (const segment of sorted(part.segments())) yield* this.unsentOf(part, told, segment)
    this.sent.add(part)
  }

  private *unsentOf(part: Part, told: PartitionTold, segment: number): Generator<StreamRecord<PartialResult>> {
    for (const [key, { value }] of part.segment(segment) ?? []) {
      if (value.sent !== value.last) yield this.send(told, segment, key, value)
    }
  }

  private send(told: PartitionTold, segment: number, key: StoreKey, combination: Combination) {
    const { codec } = this.aggregate
    const { state, last } = combination
    if (codec.changes !== undefined) combination.unlogged.push(codec.changes(state))
    combination.sent = last
    combination.queued = false
    const { topic, partition, generation, before } = told
    const source = { topic, partition }
    // What was combined of a topic that this one took the place of lies before all of this one.
    const offset = Math.max(-1, last - before)
    const { version, unkept } = codec
    const result = new PartialResult(
      source,
      generation,
      offset,
      segment,
      key,
      codec.save(state),
      version,
      undefined,
      unkept,
    )
    const origin = { topic, partition, offset }
    return new StreamRecord(recordKeyOf(key), result, segment, noHeaders, origin)
  }
}

function sorted(segments: Iterable<number>): number[] {
  return [...segments].sort((one, other) => one - other)
}
