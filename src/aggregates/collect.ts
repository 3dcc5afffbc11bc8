import { byPartition, partitionName, type StoreCodec, type StreamRecord } from '../model/index.js'
import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'

/** An item with where it belongs in time: its partition's stream time when its record came, and the record's place. */
interface Placed<T> {
  readonly at: number
  readonly source: string
  readonly offset: number
  readonly item: T
}

/** As it is stored; the source is null where it is that of the item before. */
type Saved<T> = [at: number, source: string | null, offset: number, item: T]

/** The last items in order of time and place, and those added since it was last saved. */
class Tail<T> {
  private items: Placed<T>[] = []
  private added: Placed<T>[] = []

  constructor(private readonly max: number) {}

  add(placed: Placed<T>): void {
    this.insert(placed)
    this.added.push(placed)
  }

  /** Nearly always it is the last one. */
  insert(placed: Placed<T>): void {
    const { items, max } = this
    let index = items.length
    while (index > 0 && isBefore(placed, items[index - 1] as Placed<T>)) index--
    if (index === items.length) items.push(placed)
    else items.splice(index, 0, placed)
    // Shifting one by one would move the whole list each time.
    if (items.length >= 2 * max) items.splice(0, items.length - max)
  }

  merge(other: Tail<T>): void {
    for (const placed of other.last()) this.insert(placed)
  }

  /** The items that count, oldest first. */
  last(): Placed<T>[] {
    return this.items.slice(-this.max)
  }

  takeAdded(): Placed<T>[] {
    const { added } = this
    this.added = []
    return added.slice(-this.max)
  }
}

function isBefore(one: Placed<unknown>, other: Placed<unknown>): boolean {
  if (one.at !== other.at) return one.at < other.at
  if (one.source !== other.source) return byPartition(one.source, other.source) < 0
  return one.offset < other.offset
}

export interface CollectOptions {
  /** How many of the newest it keeps. */
  readonly max: number
}

/**
 * A value of each record in a list, newest last, bounded: beyond `max` the oldest go. The order is that of stream time, as
 * it was on the record's partition when the record came, and then of place (topic, partition, offset): the records of a
 * partition stay in the order in which they were read, those of several are put together by time, and the list is the
 * same wherever epochs end and whatever is begun anew. Values must be plain data.
 */
export function collect<V, T = V>(of: (value: V) => T, options: CollectOptions): Aggregate<V, Tail<T>, T[]> {
  checkSelector('collect', of)
  const { max } = options ?? {}
  if (max === undefined || !(Number.isInteger(max) && max >= 1))
    throw new RangeError(`declaring collect: max is ${max}, where a whole number of at least 1 is expected`)
  const filled = (tail: Tail<T>, all: readonly Saved<T>[]) => {
    let source = ''
    for (const [at, own, offset, item] of all) tail.insert({ at, source: (source = own ?? source), offset, item })
    return tail
  }
  const codec: StoreCodec<Tail<T>> = {
    version: 2,
    save(tail) {
      tail.takeAdded()
      return tail.last().map(saved)
    },
    load: (all, version) => filled(new Tail(max), version === 1 ? (all as T[]).map(undated) : (all as Saved<T>[])),
    changes: (tail) => tail.takeAdded().map(saved),
    apply: (tail, all, version) => filled(tail, version === 1 ? (all as T[]).map(undated) : (all as Saved<T>[])),
  }
  const places = new Places()
  return {
    init: () => new Tail(max),
    add(tail, value, record) {
      tail.add(places.put(of(value), record))
      return tail
    },
    merge(tail, other) {
      tail.merge(other)
      return tail
    },
    result: (tail) => tail.last().map(({ item }) => item),
    codec,
  }
}

/** Says where items belong. The name of a partition is made anew only where another one's record comes. */
class Places {
  private topic = ''
  private partition = -1
  private source = ''

  /** Without a record, as where an aggregate is tried by itself, items stay in the order in which they come. */
  put<T>(item: T, record: StreamRecord | undefined): Placed<T> {
    if (record === undefined) return { at: Number.NEGATIVE_INFINITY, source: '', offset: -1, item }
    const { origin, timestamp, behindMs } = record
    const { topic, partition, offset } = origin
    if (topic !== this.topic || partition !== this.partition) {
      this.topic = topic
      this.partition = partition
      this.source = partitionName(origin)
    }
    const at = timestamp + behindMs
    return { at: Number.isNaN(at) ? Number.NEGATIVE_INFINITY : at, source: this.source, offset, item }
  }
}

function saved<T>({ at, source, offset, item }: Placed<T>, index: number, all: readonly Placed<T>[]): Saved<T> {
  return [at, source === all[index - 1]?.source ? null : source, offset, item]
}

/** What was saved before items had a place is older than all that has. */
function undated<T>(item: T): Saved<T> {
  return [Number.NEGATIVE_INFINITY, null, -1, item]
}

export type { Tail }
