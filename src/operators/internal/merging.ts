import {
  byPartition,
  type OperatorContext,
  type PartialResult,
  partitionName,
  type Store,
  type StoreCodec,
  type StoreKey,
  type StreamRecord,
} from '../../model/index.js'
import type { Present } from './changed.js'
import { type GroupSettings, lateError } from './groups.js'
import { type Combined, dropDone, dueResults, presentOf, Telling } from './window-results.js'

interface Slot {
  readonly generation: number
  /** The offset of the last record in it. */
  readonly last: number
  readonly partial: unknown
}

/** The partial results of a group, one for each source partition, by topic and number of these. */
export class Slots {
  private bySource = new Map<string, Slot>()
  private fresh = new Set<string>()

  /** Takes the place of what the source had told before; false when that was later. */
  put(source: string, slot: Slot): boolean {
    const known = this.bySource.get(source)
    if (known !== undefined && isLater(known, slot)) return false
    this.bySource.set(source, slot)
    if (known === undefined && this.bySource.size > 1)
      this.bySource = new Map([...this.bySource].sort(([one], [other]) => byPartition(one, other)))
    this.fresh.add(source)
    return true
  }

  entries(fresh?: ReadonlySet<string>): [string, Slot][] {
    return [...this.bySource].filter(([source]) => fresh === undefined || fresh.has(source))
  }

  takeFresh(): ReadonlySet<string> {
    const { fresh } = this
    this.fresh = new Set()
    return fresh
  }

  collect(partials: unknown[]): void {
    for (const { partial } of this.bySource.values()) partials.push(partial)
  }
}

type SavedSlot = [source: string, generation: number, last: number, partial: unknown]

export function slotsCodec(inner: StoreCodec<unknown>): StoreCodec<Slots> {
  const saved = (entries: readonly [string, Slot][]) =>
    entries.map(([source, { generation, last, partial }]): SavedSlot => [source, generation, last, inner.save(partial)])
  const put = (slots: Slots, all: readonly SavedSlot[], version: Parameters<typeof inner.load>[1]) => {
    for (const [source, generation, last, partial] of all)
      slots.put(source, { generation, last, partial: inner.load(partial, version) })
    slots.takeFresh()
    return slots
  }
  return {
    version: [1, inner.version],
    save(slots) {
      slots.takeFresh()
      return saved(slots.entries())
    },
    load: (all, version) => put(new Slots(), all as SavedSlot[], (version as readonly [number, never])[1]),
    changes: (slots) => saved(slots.entries(slots.takeFresh())),
    apply: (slots, all, version) => put(slots, all as SavedSlot[], (version as readonly [number, never])[1]),
    size: (slots) => slots.entries().reduce((bytes, [, { partial }]) => bytes + (inner.size?.(partial) ?? 0), 0),
  }
}

/** The second half of an aggregate whose groups lie in several partitions: merges what was combined of each. */
export class Merging {
  private key: StoreKey = null
  private segment = 0
  private readonly telling: Telling<Slots>

  constructor(
    private readonly aggregate: Combined,
    private readonly store: Store<Slots>,
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
  ) {
    this.telling = new Telling(aggregate, settings.slices, (slots, partials) => slots.collect(partials))
  }

  /** Takes a partial result in. Returns false when it changed nothing: a repeat, an older one, or late and rejected. */
  add(record: StreamRecord<PartialResult>): boolean {
    const { value: partial, origin } = record
    const { source, generation, last, segment, key } = partial
    if (this.isClosed(record)) return false
    const part = this.store.of(origin.topic, origin.partition)
    const entry = part.get(segment, key) ?? part.add(segment, key, new Slots())
    const slot = { generation, last, partial: this.aggregate.codec.load(partial.saved, partial.version) }
    if (!entry.value.put(partitionName(source), slot)) return false
    part.touch(entry)
    this.key = key
    this.segment = segment
    return true
  }

  /** The group that was changed last. */
  present({ timestamp, origin, behindMs }: StreamRecord): Present {
    const { segment, key } = this
    const { topic, partition } = origin
    const closed = this.context.time.closedOf(topic, partition)
    const when = { timestamp: this.settings.slices?.last(segment) ?? timestamp, origin, behindMs }
    return presentOf(() => [this.store.of(topic, partition)], { segment, key }, closed, this.telling, when)
  }

  /** Yields the results of windows that the watermark has passed, where they are wanted, and drops what is over. */
  *close(): Generator<StreamRecord> {
    const { slices, emitsChanges } = this.settings
    if (slices === undefined) return
    const { time, stage } = this.context
    for (const part of this.store.partitions()) {
      const { topic, partition } = part.partition
      const watermarks = { closed: time.closedOf(topic, partition), watermark: time.watermarkOf(part.partition) }
      if (!emitsChanges) yield* dueResults([part], watermarks, slices, this.telling, stage)
      dropDone([part], watermarks.watermark, slices)
    }
  }

  private isClosed(record: StreamRecord<PartialResult>): boolean {
    const { slices } = this.settings
    if (slices === undefined) return false
    const { segment, last, told } = record.value
    const closed = this.context.time.closedOf(record.origin.topic, record.origin.partition)
    if (!slices.isDone(segment, closed)) return false
    // What its source has sent before it told that the slice is complete, or that it is idle, is in the results already.
    const isRepeat = told !== undefined && (slices.isComplete(segment, told.watermark) || last < told.sentTo)
    if (!isRepeat) this.context.reject(record, lateError(slices.last(segment) + slices.size, closed))
    return true
  }
}

function isLater(known: Slot, other: Slot): boolean {
  return known.generation > other.generation || (known.generation === other.generation && known.last > other.last)
}
