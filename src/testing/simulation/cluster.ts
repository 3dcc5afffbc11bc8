import type { Header, Key, Origin, Position, TopicPartition } from '../../model/index.js'
import { Group, type GroupTimes } from './group.js'
import { Link } from './link.js'
import type { World } from './world.js'

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
  readonly entries: { readonly origin: Origin; readonly fate: Fate | undefined }[]
}

/** A Kafka cluster: topics, and the groups that read them. */
export class Cluster {
  readonly link: Link
  private readonly topics = new Map<string, Log[]>()
  private readonly groups = new Map<string, Group>()
  private readonly listeners = new Set<() => void>()

  constructor(
    readonly world: World,
    private readonly times: GroupTimes,
  ) {
    this.link = new Link(world, 'kafka', true)
  }

  /** Makes sure that there is a topic. Returns how many partitions it has. */
  topic(name: string, partitions: number): number {
    const known = this.topics.get(name)
    if (known !== undefined) return known.length
    this.topics.set(
      name,
      Array.from({ length: partitions }, () => ({ start: 0, entries: [] })),
    )
    return partitions
  }

  has(topic: string): boolean {
    return this.topics.has(topic)
  }

  partitionsOf(topics: readonly string[]): TopicPartition[] {
    return topics.flatMap((topic) => this.logs(topic).map((_, partition) => ({ topic, partition })))
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

  private log({ topic, partition }: TopicPartition): Log {
    const log = this.logs(topic)[partition]
    if (log === undefined) throw new RangeError(`there is no partition ${partition} of topic '${topic}'`)
    return log
  }

  private logs(topic: string): Log[] {
    const logs = this.topics.get(topic)
    if (logs === undefined) throw new RangeError(`there is no topic '${topic}'`)
    return logs
  }
}

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
