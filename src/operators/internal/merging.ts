import {
  type OperatorContext,
  type PartialResult,
  partitionName,
  type Store,
  type StoreCodec,
  type StoreKey,
  type StorePartition,
  type StreamRecord,
} from '../../model/index.js'
import type { Present } from './changed.js'
import { type GroupSettings, lateError } from './groups.js'
import { type Combined, closing, mergedOf, resultOf, windowOf } from './window-results.js'

interface Slot {
  readonly generation: number
  /** The offset of the last record in it. */
  readonly last: number
  readonly partial: unknown
}

/** The partial results of a group, one for each source partition. */
export class Slots {
  private readonly bySource = new Map<string, Slot>()
  private fresh = new Set<string>()

  /** Takes the place of what the source had told before; false when that was later. */
  put(source: string, slot: Slot): boolean {
    const known = this.bySource.get(source)
    if (known !== undefined && isLater(known, slot)) return false
    this.bySource.set(source, slot)
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

  partials(): unknown[] {
    return [...this.bySource.values()].map(({ partial }) => partial)
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
  }
}

/** The second half of an aggregate whose groups lie in several partitions: merges what was combined of each. */
export class Merging {
  private key: StoreKey = null
  private start = 0
  private slots: Slots | undefined

  constructor(
    private readonly aggregate: Combined,
    private readonly store: Store<Slots>,
    private readonly settings: GroupSettings,
    private readonly context: OperatorContext,
  ) {}

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
    this.start = segment
    this.slots = entry.value
    return true
  }

  /** The group that was changed last. */
  present({ timestamp, origin, behindMs }: StreamRecord): Present {
    const { key, start, slots } = this
    const { window } = this.settings
    const result = () => {
      const value = mergedOf(this.aggregate, slots?.partials() ?? [])
      return resultOf(window && windowOf(start, window), key, value, { timestamp, origin, behindMs })
    }
    return { start, key, result }
  }

  /** Takes out every window that its partition's watermark has passed, and yields the result of each key in it. */
  *close(): Generator<StreamRecord> {
    const { window } = this.settings
    if (window === undefined) return
    const { time, stage } = this.context
    const valueOf = ([part]: readonly StorePartition<Slots>[], start: number, key: StoreKey) =>
      mergedOf(this.aggregate, part?.get(start, key)?.value.partials() ?? [])
    for (const part of this.store.partitions())
      yield* closing([part], time.watermarkOf(part.partition), window, stage, valueOf)
  }

  private isClosed(record: StreamRecord<PartialResult>): boolean {
    const { window } = this.settings
    if (window === undefined) return false
    const { segment, last, told } = record.value
    const end = segment + window.size
    const closed = this.context.time.closedOf(record.origin.topic, record.origin.partition)
    if (end + window.grace > closed) return false
    // What its source has sent before it told that it is done with the window, or idle, is in the result already.
    const isRepeat = told !== undefined && (told.watermark >= end + window.grace || last < told.sentTo)
    if (!isRepeat) this.context.reject(record, lateError(end, closed))
    return true
  }
}

function isLater(known: Slot, other: Slot): boolean {
  return known.generation > other.generation || (known.generation === other.generation && known.last > other.last)
}
