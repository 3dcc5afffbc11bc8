import {
  byPartition,
  CombinedRecord,
  keyText,
  messageOf,
  noHeaders,
  type OperatorContext,
  type Origin,
  type PartialResult,
  partitionName,
  type Store,
  type StoreCodec,
  type StoreKey,
  StreamRecord,
  type ToldBefore,
  WeirError,
} from '../../model/index.js'
import type { Present } from './changed.js'
import { type GroupSettings, lateError } from './groups.js'
import type { Slices } from './slices.js'
import { type Combined, dropDone, dueResults, type PartsOf, presentOf, Telling } from './window-results.js'

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

const loadHint = 'Mend the codec of the aggregate: what was sent stays in the internal topic, and is read again.'

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
    this.telling = new Telling(aggregate, settings.slices, (slots, partials) => slots.collect(partials), context)
  }

  /** Takes a partial result in. Returns false when it changed nothing: a repeat, an older one, or late and rejected. */
  add({ value, origin }: StreamRecord<PartialResult | CombinedRecord>): boolean {
    if (value instanceof CombinedRecord) {
      this.judge(value, origin)
      return false
    }
    return this.merge(value, origin)
  }

  private merge(partial: PartialResult, origin: Origin): boolean {
    const { source, generation, last, segment, key } = partial
    if (this.isDone(segment, origin)) {
      this.check(partial, origin)
      return false
    }
    const part = this.store.of(origin.topic, origin.partition)
    const entry = part.get(segment, key) ?? part.add(segment, key, new Slots())
    const slot = { generation, last, partial: this.loaded(partial) }
    if (!entry.value.put(partitionName(source), slot)) return false
    part.touch(entry)
    this.key = key
    this.segment = segment
    return true
  }

  private loaded({ saved, version, source, key }: PartialResult): unknown {
    try {
      return this.aggregate.codec.load(saved, version)
    } catch (cause) {
      const { stage } = this.context
      const what = `a partial result of ${partitionName(source)} at key ${keyText(key)}`
      throw new WeirError('WEIR_STAGE_FAILED', `loading ${what}: ${messageOf(cause)}`, { stage, cause, hint: loadHint })
    }
  }

  private readonly partsOf: PartsOf<Slots> = (_key, { topic, partition }) => [this.store.of(topic, partition)]

  /** The group that was changed last. */
  present({ timestamp, origin, behindMs }: StreamRecord): Present {
    const { segment, key } = this
    const { topic, partition } = origin
    const closed = this.context.time.closedOf(topic, partition)
    const when = { timestamp: this.settings.slices?.last(segment) ?? timestamp, origin, behindMs }
    return presentOf(this.partsOf, { segment, key }, closed, this.telling, when)
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

  /**
   * Rejects a record whose slice is done, unless it comes again and is in the results. One whose slice is not done will be
   * in a partial result, and its partition is waited for until that has come.
   */
  private judge({ record, segment, told }: CombinedRecord, origin: Origin): void {
    const { slices } = this.settings
    if (slices === undefined || !this.isDone(segment, origin)) return
    if (!isRepeat(record.origin.offset, segment, slices, told)) this.context.reject(record, this.late(segment, origin))
  }

  /** What comes of a slice that is done is a repeat, or was judged record by record. It never is anything else. */
  private check(partial: PartialResult, origin: Origin): void {
    const { last, segment, told } = partial
    const { slices } = this.settings
    if (slices === undefined || isRepeat(last, segment, slices, told) || last <= (told?.ahead ?? -1)) return
    const { topic, partition, offset } = origin
    const record = new StreamRecord(null, partial, segment, noHeaders, { topic, partition, offset })
    this.context.reject(record, this.late(segment, origin))
  }

  private late(segment: number, origin: Origin): WeirError {
    const slices = this.settings.slices as Slices
    return lateError(slices.last(segment) + slices.size, this.closedAt(origin))
  }

  /** Whether all windows of a slice have closed. */
  private isDone(segment: number, origin: Origin): boolean {
    return this.settings.slices?.isDone(segment, this.closedAt(origin)) === true
  }

  private closedAt({ topic, partition }: Origin): number {
    return this.context.time.closedOf(topic, partition)
  }
}

/** Whether its source had told, before this came, that all up to this record was sent. */
function isRepeat(offset: number, segment: number, slices: Slices, told: ToldBefore | undefined): boolean {
  if (told === undefined) return false
  return offset < told.sentTo || (offset < told.position && slices.isComplete(segment, told.watermark))
}

function isLater(known: Slot, other: Slot): boolean {
  return known.generation > other.generation || (known.generation === other.generation && known.last > other.last)
}
