import type { combine } from '../../aggregates/index.js'
import {
  type Entry,
  type GroupKey,
  groupKeyOf,
  messageOf,
  noHeaders,
  type OperatorContext,
  type Origin,
  place,
  recordKeyOf,
  type StoreKey,
  type StorePartition,
  StreamRecord,
  timeText,
  WeirError,
} from '../../model/index.js'
import type { Aggregated, Window, Windowed } from '../windows.js'
import type { Present } from './changed.js'
import type { Slices, Watermarks } from './slices.js'

export type Combined = ReturnType<typeof combine>

const hint = "Mend the aggregate's code; or set the stage's option onError, for such results to go to the dead letters."
/** How much of a key an error tells. */
const shownLength = 200

/** What makes results of what stores keep; one object serves one epoch. */
export class Telling<V> {
  private readonly windows = new Map<number, Window>()

  constructor(
    readonly aggregate: Combined,
    /** Undefined when results are of all time. */
    readonly slices: Slices | undefined,
    /** Adds what a value of the store has of its group. */
    readonly collect: (value: V, partials: unknown[]) => void,
    private readonly context: OperatorContext,
  ) {}

  /**
   * The result of several partials, which stay as they are, as a record of their group; undefined where the code of the
   * aggregate threw, and the result was rejected.
   */
  result(
    start: number,
    stored: StoreKey,
    partials: readonly unknown[],
    { timestamp, origin, behindMs }: When,
  ): StreamRecord | undefined {
    const key = groupKeyOf(stored)
    const window = this.slices && this.window(start, this.slices)
    let value: unknown
    try {
      value = this.aggregate.result(mergedOf(this.aggregate, partials))
    } catch (error) {
      this.refuse({ key, window, accumulated: this.saved(partials) }, stored, { timestamp, origin, behindMs }, error)
      return undefined
    }
    const result: Aggregated<unknown, GroupKey> | Windowed<unknown, GroupKey> =
      window === undefined ? { key, value } : { key, window, value }
    return new StreamRecord(recordKeyOf(stored), result, timestamp, noHeaders, origin, behindMs)
  }

  /**
   * What is rejected is the result, by its group and window, with what it would have been made of. The records are in the
   * group: no dead letter may say of one of them that it is not.
   */
  private refuse(untold: Untold, stored: StoreKey, { timestamp, origin, behindMs }: When, error: unknown): void {
    const { topic, partition } = origin
    const isOfMany = origin.offset < 0
    const at = isOfMany ? origin : { topic: this.context.stage, partition, offset: -1 }
    const record = new StreamRecord(recordKeyOf(stored), untold, timestamp, noHeaders, at, behindMs)
    const after = isOfMany ? '' : ` after ${place({ topic, partition, offset: origin.offset })}`
    const message = `telling the result of ${untoldText(untold)}${after}: ${messageOf(error)}`
    // Another try finds the same in the same window, and may have waited long for it to close.
    const remedy = isOfMany ? ({ remedy: 'stop' } as const) : {}
    this.context.reject(record, new WeirError('WEIR_STAGE_FAILED', message, { ...remedy, cause: error, hint }))
  }

  /** As it is stored; undefined where it is the code for that which throws. Saving what is in a store would change it. */
  private saved(partials: readonly unknown[]): unknown {
    const { aggregate } = this
    try {
      return aggregate.codec.save(partials.reduce((all, one) => aggregate.merge(all, one), aggregate.init()))
    } catch {
      return undefined
    }
  }

  /** What all results of a window share. */
  private window(start: number, slices: Slices): Window {
    let window = this.windows.get(start)
    if (window === undefined) this.windows.set(start, (window = windowOf(start, slices)))
    return window
  }
}

type When = Pick<StreamRecord, 'timestamp' | 'origin' | 'behindMs'>

/** A result that the code of the aggregate could not tell. */
interface Untold {
  readonly key: GroupKey
  /** Undefined when it is of all time. */
  readonly window: Window | undefined
  readonly accumulated: unknown
}

/** The results of all windows that are due, oldest first. */
export function* dueResults<V>(
  parts: readonly StorePartition<V>[],
  watermarks: Watermarks,
  slices: Slices,
  telling: Telling<V>,
  stage: string,
): Generator<StreamRecord> {
  // A result has no one record that it stems from, but where its partition has it to itself it belongs there.
  const [only, ...others] = parts
  const partition = only === undefined || others.length > 0 ? -1 : only.partition.partition
  const origin = { topic: stage, partition, offset: -1 }
  for (const start of slices.due(segmentsOf(parts), watermarks)) {
    const at = { timestamp: start + slices.size - 1, origin, behindMs: 0 }
    for (const [key, partials] of groupsOf(parts, start, slices, telling)) {
      const result = telling.result(start, key, partials, at)
      if (result !== undefined) yield result
    }
  }
}

/** Drops what no window needs any more. */
export function dropDone<V>(parts: readonly StorePartition<V>[], watermark: number, slices: Slices): void {
  for (const part of parts) {
    for (const segment of [...part.segments()]) if (slices.isDone(segment, watermark)) part.dropSegment(segment)
  }
}

/** Where the entries of a key lie that was changed by a record of this origin. */
export type PartsOf<V> = (key: StoreKey, origin: Origin) => readonly StorePartition<V>[]

/** A group that was just changed in one segment, and whose results are out up to `closed`. */
export function presentOf<V>(
  partsOf: PartsOf<V>,
  { segment, key, entry }: Pick<Present, 'segment' | 'key'> & { readonly entry?: Entry<V> | undefined },
  closed: number,
  telling: Telling<V>,
  when: When,
): Present {
  const { slices } = telling
  if (slices === undefined || !slices.areShared)
    return new PresentAlone(partsOf, segment, key, entry, telling, when.timestamp, when.origin, when.behindMs)
  let shared: Shared[] | undefined
  return {
    segment,
    key,
    windows: () => slices.windowsOf(segment, closed),
    result(start) {
      // Found and merged once for all windows: each of them has most of it.
      shared ??= sharedOf(partsOf(key, when.origin), key, slices, telling)
      const here = shared.filter(({ first, last }) => first <= start && start <= last)
      return telling.result(
        start,
        key,
        here.flatMap(({ partials }) => partials),
        when,
      )
    },
  }
}

/**
 * A group in a segment that no other shares, or of all time. One of these is kept for each group that an epoch changes, and
 * it is a class because functions that share a scope take several times as much.
 */
class PresentAlone<V> implements Present, When {
  constructor(
    private readonly partsOf: PartsOf<V>,
    readonly segment: number,
    readonly key: StoreKey,
    private readonly entry: Entry<V> | undefined,
    private readonly telling: Telling<V>,
    readonly timestamp: number,
    readonly origin: Origin,
    readonly behindMs: number,
  ) {}

  windows(): readonly number[] {
    return [this.segment]
  }

  result(): StreamRecord | undefined {
    const { segment, key, entry, telling } = this
    const found = () => partialsAt(this.partsOf(key, this.origin), segment, key, telling)
    return telling.result(segment, key, entry === undefined ? found() : partialsIn(entry, telling), this)
  }
}

/** What there is of a key in one slice. */
interface Shared {
  readonly first: number
  readonly last: number
  readonly partials: readonly unknown[]
}

function sharedOf<V>(
  parts: readonly StorePartition<V>[],
  key: StoreKey,
  slices: Slices,
  telling: Telling<V>,
): Shared[] {
  const found: Shared[] = []
  for (const segment of segmentsOf(parts)) {
    const partials = partialsAt(parts, segment, key, telling)
    if (partials.length === 0) continue
    const [first, last] = [slices.first(segment), slices.last(segment)]
    found.push({ first, last, partials: mergedIfItCan(telling.aggregate, partials) })
  }
  return found
}

/** As one, unless the code of the aggregate throws: then it throws again for who tells the result, and rejects that. */
function mergedIfItCan(aggregate: Combined, partials: readonly unknown[]): readonly unknown[] {
  try {
    return [mergedOf(aggregate, partials)]
  } catch {
    return partials
  }
}

function partialsAt<V>(
  parts: readonly StorePartition<V>[],
  segment: number,
  key: StoreKey,
  { collect }: Telling<V>,
): unknown[] {
  const partials: unknown[] = []
  for (const part of parts) {
    const entry = part.get(segment, key)
    if (entry !== undefined) collect(entry.value, partials)
  }
  return partials
}

function partialsIn<V>({ value }: Entry<V>, { collect }: Telling<V>): unknown[] {
  const partials: unknown[] = []
  collect(value, partials)
  return partials
}

/** What the partitions have of each group of a window. */
function groupsOf<V>(
  parts: readonly StorePartition<V>[],
  start: number,
  slices: Slices,
  telling: Telling<V>,
): Iterable<readonly [StoreKey, unknown[]]> {
  const [only, ...others] = parts
  const isWhole = others.length === 0 && !slices.areShared
  return isWhole && only !== undefined ? wholeOf(only, start, telling) : gatheredOf(parts, start, slices, telling)
}

/** Where a window is one segment of one partition, its groups need not be gathered. */
function* wholeOf<V>(
  part: StorePartition<V>,
  start: number,
  telling: Telling<V>,
): Generator<readonly [StoreKey, unknown[]]> {
  for (const [key, entry] of part.segment(start) ?? []) yield [key, partialsIn(entry, telling)]
}

function gatheredOf<V>(
  parts: readonly StorePartition<V>[],
  start: number,
  slices: Slices,
  { collect }: Telling<V>,
): Map<StoreKey, unknown[]> {
  const groups = new Map<StoreKey, unknown[]>()
  for (const segment of segmentsOf(parts)) {
    if (!slices.has(segment, start)) continue
    for (const part of parts) {
      for (const [key, { value }] of part.segment(segment) ?? []) {
        let partials = groups.get(key)
        if (partials === undefined) groups.set(key, (partials = []))
        collect(value, partials)
      }
    }
  }
  return groups
}

/** All that several partials have, as one; they stay as they are. */
function mergedOf(aggregate: Combined, partials: readonly unknown[]): unknown {
  if (partials.length === 1) return partials[0]
  return partials.reduce((all, one) => aggregate.merge(all, one), aggregate.init())
}

/** In order of time, whatever the order in which they came or were restored: aggregates may mind it. */
function segmentsOf(parts: readonly StorePartition<unknown>[]): number[] {
  return [...new Set(parts.flatMap((part) => [...part.segments()]))].sort((one, other) => one - other)
}

function untoldText({ key, window }: Untold): string {
  const shown = Buffer.isBuffer(key) ? `0x${key.toString('hex')}` : key
  const group = shown === null ? 'all' : `'${String(shown).slice(0, shownLength)}'`
  return window === undefined ? group : `${group} from ${timeText(+window.start)} to ${timeText(+window.end)}`
}

function windowOf(start: number, { size }: Slices): Window {
  const window = { start: new Date(start), end: new Date(start + size) }
  let texts: { readonly start: string; readonly end: string } | undefined
  // Writing dates as text was two thirds of writing a result as JSON: it is done once for all of them.
  const toJSON = () => (texts ??= { start: window.start.toJSON(), end: window.end.toJSON() })
  return Object.defineProperty(window, 'toJSON', { value: toJSON })
}
