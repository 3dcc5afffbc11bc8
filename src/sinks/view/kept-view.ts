import type { Store, StoreCodec, StorePartition, TopicPartition, ViewRow } from '../../model/index.js'

/** A value for a key of a table, until a time of the stream where it has an end. */
export interface Change {
  readonly table: string
  readonly key: string
  /** Undefined removes the key. */
  readonly value: unknown
  /** Event time, ms; 0 where it lasts. */
  readonly expires: number
}

/** What an epoch did to the view in one partition. */
export interface Outcome {
  readonly rows: readonly ViewRow[]
  readonly removed: readonly Place[]
}

type Place = Pick<ViewRow, 'table' | 'key'>

const codec: StoreCodec<unknown> = { version: 1, save: (value) => value, load: (saved) => saved }

/**
 * What a stage shows, in its store: values lie in segments by when they expire, so that all that expires at once is
 * dropped at once. The key null of segment 0 counts the epochs that changed something.
 */
export class KeptView {
  private readonly store: Store<unknown>

  constructor(declare: (codec: StoreCodec<unknown>) => Store<unknown>) {
    this.store = declare(codec)
  }

  /** The sequence of a partition's last change. */
  sequence({ topic, partition }: TopicPartition): number {
    return Number(this.store.of(topic, partition).get(0, null)?.value ?? 0)
  }

  /** Makes what the partition has count as changed. */
  advance({ topic, partition }: TopicPartition): void {
    const part = this.store.of(topic, partition)
    const entry = part.get(0, null)
    if (entry === undefined) part.add(0, null, 1)
    else {
      entry.value = Number(entry.value) + 1
      part.touch(entry)
    }
  }

  /** Puts changes in, and takes out what has expired by then. Undefined when that changed nothing. */
  apply({ topic, partition }: TopicPartition, changes: Iterable<Change>, watermark: number): Outcome | undefined {
    const part = this.store.of(topic, partition)
    const touched = new Map<string, Place>()
    for (const change of changes) {
      put(part, change)
      touched.set(nameOf(change), change)
    }
    for (const segment of [...part.segments()].filter((expires) => expires > 0 && expires <= watermark)) {
      for (const name of part.segment(segment)?.keys() ?? []) touched.set(String(name), placeOf(String(name)))
      part.dropSegment(segment)
    }
    if (touched.size === 0) return undefined
    this.advance({ topic, partition })
    return outcomeOf(part, touched)
  }

  /** All that is shown of a partition. */
  all({ topic, partition }: TopicPartition): readonly ViewRow[] {
    const part = this.store.of(topic, partition)
    const rows = new Map<string, ViewRow>()
    for (const segment of ascending(part)) {
      for (const [name, { value }] of part.segment(segment) ?? [])
        if (name !== null) rows.set(String(name), { ...placeOf(String(name)), value })
    }
    return [...rows.values()]
  }
}

function put(part: StorePartition<unknown>, { value, expires, ...place }: Change): void {
  const name = nameOf(place)
  const entry = part.get(expires, name)
  if (value === undefined) for (const segment of [...part.segments()]) part.delete(segment, name)
  else if (entry === undefined) part.add(expires, name, value)
  else {
    entry.value = value
    part.touch(entry)
  }
}

/** Of the values of a key that which lasts longest is shown. */
function outcomeOf(part: StorePartition<unknown>, touched: ReadonlyMap<string, Place>): Outcome {
  const segments = ascending(part).reverse()
  const rows: ViewRow[] = []
  const removed: Place[] = []
  for (const [name, { table, key }] of touched) {
    const segment = segments.find((expires) => part.get(expires, name) !== undefined)
    if (segment === undefined) removed.push({ table, key })
    else rows.push({ table, key, value: part.get(segment, name)?.value })
  }
  return { rows, removed }
}

/** Those that expire first come first, after what lasts for ever: what expires was put later. */
function ascending(part: StorePartition<unknown>): number[] {
  return [...part.segments()].sort((a, b) => a - b)
}

/** Tables are names without the character 0. */
function nameOf({ table, key }: Place): string {
  return `${table}\0${key}`
}

function placeOf(name: string): Place {
  const end = name.indexOf('\0')
  return { table: name.slice(0, end), key: name.slice(end + 1) }
}
