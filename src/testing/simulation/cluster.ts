import type { Header, Key, Origin, Position, TopicPartition } from '../../model/index.js'
import type { SeenTopic } from '../../state/topic-protocol/index.js'
import { Group, type GroupTimes } from './group.js'
import { Link } from './link.js'
import type { World } from './world.js'

/** How long it takes at the most until clients find that a topic has more partitions, ms. */
const refreshMs = 5_000

/** A record as it is written. */
export interface Message {
  readonly key: Key
  readonly value: unknown
  readonly timestamp: number
  readonly headers: readonly Header[]
}

/** What became of the transaction that a record was written in, as far as a partition was told. */
export interface Fate {
  tellsOf(partition: TopicPartition): Outcome
}

export type Outcome = 'open' | 'committed' | 'aborted'

/** A partition: what was written, from `start` on, and in which transactions. */
interface Log {
  start: number
  /** Whether it has lost its end once. */
  isShortened: boolean
  readonly entries: { readonly origin: Origin; readonly fate: Fate | undefined }[]
}

/** A topic from when it is created to when it is deleted. */
interface Topic {
  /** Tells it from others of its name. */
  readonly id: string
  readonly logs: Log[]
}

/** A Kafka cluster: topics, and the groups that read them. */
export class Cluster {
  readonly link: Link
  private readonly topics = new Map<string, Topic>()
  private created = 0
  private readonly groups = new Map<string, Group>()
  private readonly listeners = new Set<() => void>()
  private readonly reading = new Set<(partition: TopicPartition) => number | undefined>()

  constructor(
    readonly world: World,
    private readonly times: GroupTimes,
    /** Whether topics may be grown, deleted and cut by others. Else nobody asks what they are. */
    readonly isChanging = false,
  ) {
    this.link = new Link(world, 'kafka', true)
  }

  /** Makes sure that there is a topic. Returns how many partitions it has. */
  topic(name: string, partitions: number): number {
    const known = this.topics.get(name)
    if (known !== undefined) return known.logs.length
    const logs = Array.from({ length: partitions }, emptyLog)
    this.topics.set(name, { id: `${name}#${++this.created}`, logs })
    if (this.isChanging) this.refresh(name)
    return partitions
  }

  /** Adds partitions. The groups that read the topic find them within some seconds. */
  grow(name: string, to: number): void {
    const logs = this.topics.get(name)?.logs ?? []
    while (logs.length < to) logs.push(emptyLog())
    this.refresh(name)
  }

  /** Deletes a topic, and with it the offsets that groups have of it. */
  remove(name: string): void {
    this.topics.delete(name)
    for (const group of this.allGroups()) group.forget(name)
  }

  /** Loses all from a position on, as brokers do that were restored. */
  shorten(position: Position): void {
    const log = this.log(position)
    log.entries.splice(Math.max(0, position.offset - log.start))
    log.isShortened = true
  }

  hasLostEnd(partition: TopicPartition): boolean {
    return this.log(partition).isShortened
  }

  /** Whether somebody reads a partition beyond its end. */
  isReadBeyond(partition: TopicPartition): boolean {
    return [...this.reading].some((positionOf) => (positionOf(partition) ?? 0) > this.end(partition))
  }

  /** Tells how far a partition is read by somebody, until the returned function is called. */
  reads(positionOf: (partition: TopicPartition) => number | undefined): () => void {
    this.reading.add(positionOf)
    return () => this.reading.delete(positionOf)
  }

  /** What topics are at the moment; undefined where there is none of that name. */
  describe(names: readonly string[]): ReadonlyMap<string, SeenTopic | undefined> {
    return new Map(names.map((name) => [name, this.seen(name)] as const))
  }

  /** Tells a topic from others of its name, where there may be such. */
  idOf(topic: string): string | undefined {
    return this.isChanging ? this.topics.get(topic)?.id : undefined
  }

  /** To which partition records of a key are written. */
  partitionFor(topic: string, key: string | Buffer): number {
    const count = this.topics.get(topic)?.logs.length ?? 1
    return hash(key) % count
  }

  hasPartition({ topic, partition }: TopicPartition): boolean {
    return this.topics.get(topic)?.logs[partition] !== undefined
  }

  has(topic: string): boolean {
    return this.topics.has(topic)
  }

  partitionsOf(topics: readonly string[]): TopicPartition[] {
    return topics.flatMap((topic) => (this.topics.get(topic)?.logs ?? []).map((_, partition) => ({ topic, partition })))
  }

  append(topic: string, partition: number, message: Message, fate?: Fate): Origin {
    const log = this.log({ topic, partition })
    const origin = { topic, partition, offset: endOf(log), ...message }
    log.entries.push({ origin, fate })
    for (const listener of this.listeners) listener()
    return origin
  }

  /** Calls back after each record that is written, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Records from a position on; where that is gone, from the first that is left. */
  read({ topic, partition, offset }: Position, most: number): readonly Origin[] {
    const { start, entries } = this.log({ topic, partition })
    const from = Math.max(0, offset - start)
    return entries.slice(from, from + most).map(({ origin }) => origin)
  }

  /** What a reader sees that waits for the end of each transaction: nothing of those that were aborted. */
  readCommitted(partition: TopicPartition): readonly Origin[] {
    return this.readStable({ ...partition, offset: 0 }, Number.POSITIVE_INFINITY).records
  }

  /** The same from a position on, with where the next read has to begin, and whether that is the end for now. */
  readStable({ offset, ...partition }: Position, most: number) {
    const { start, entries } = this.log(partition)
    const open = entries.findIndex(({ fate }) => fate?.tellsOf(partition) === 'open')
    const end = start + (open < 0 ? entries.length : open)
    const from = Math.min(Math.max(offset, start), end)
    const next = Math.min(end, from + most)
    const records = entries
      .slice(from - start, next - start)
      .filter(({ fate }) => fate?.tellsOf(partition) !== 'aborted')
      .map(({ origin }) => origin)
    return { records, next, isEnd: next === end }
  }

  /** The first offset that is left. */
  start(partition: TopicPartition): number {
    return this.log(partition).start
  }

  end(partition: TopicPartition): number {
    return endOf(this.log(partition))
  }

  /** Deletes what lies before a position. */
  truncate(position: Position): void {
    const log = this.log(position)
    const gone = Math.min(position.offset, endOf(log)) - log.start
    if (gone <= 0) return
    log.entries.splice(0, gone)
    log.start += gone
  }

  group(name: string): Group {
    let group = this.groups.get(name)
    if (group === undefined) this.groups.set(name, (group = new Group(name, this, this.times)))
    return group
  }

  allGroups(): readonly Group[] {
    return [...this.groups.values()]
  }

  allTopics(): readonly string[] {
    return [...this.topics.keys()]
  }

  /** Those who read it already find within some seconds what partitions there are. */
  private refresh(topic: string): void {
    const since = this.world.now
    this.world.servers.after(this.world.random.between(0, refreshMs), () => {
      for (const group of this.allGroups()) if (group.notices(topic, since)) group.retarget()
    })
  }

  private log({ topic, partition }: TopicPartition): Log {
    const log = this.logs(topic)[partition]
    if (log === undefined) throw new RangeError(`there is no partition ${partition} of topic '${topic}'`)
    return log
  }

  private logs(topic: string): Log[] {
    const known = this.topics.get(topic)
    if (known === undefined) throw new RangeError(`there is no topic '${topic}'`)
    return known.logs
  }

  private seen(name: string): SeenTopic | undefined {
    const known = this.topics.get(name)
    return known && { id: known.id, partitions: known.logs.length }
  }
}

const emptyLog = (): Log => ({ start: 0, isShortened: false, entries: [] })

function endOf({ start, entries }: Log): number {
  return start + entries.length
}

/** Spreads keys over partitions. */
export function hash(key: string | Buffer): number {
  let sum = 7
  for (const letter of typeof key === 'string' ? key : key.toString('latin1'))
    sum = (Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0)) >>> 0
  return sum
}
