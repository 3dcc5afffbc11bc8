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

/** A Kafka cluster: topics, and the groups that read them. */
export class Cluster {
  readonly link: Link
  private readonly topics = new Map<string, Origin[][]>()
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
      Array.from({ length: partitions }, () => []),
    )
    return partitions
  }

  partitionsOf(topics: readonly string[]): TopicPartition[] {
    return topics.flatMap((topic) => this.logs(topic).map((_, partition) => ({ topic, partition })))
  }

  append(topic: string, partition: number, message: Message): Origin {
    const log = this.log({ topic, partition })
    const origin = { topic, partition, offset: log.length, ...message }
    log.push(origin)
    for (const listener of this.listeners) listener()
    return origin
  }

  /** Calls back after each record that is written, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  read({ topic, partition, offset }: Position, most: number): readonly Origin[] {
    return this.log({ topic, partition }).slice(offset, offset + most)
  }

  end(partition: TopicPartition): number {
    return this.log(partition).length
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

  private log({ topic, partition }: TopicPartition): Origin[] {
    const log = this.logs(topic)[partition]
    if (log === undefined) throw new RangeError(`there is no partition ${partition} of topic '${topic}'`)
    return log
  }

  private logs(topic: string): Origin[][] {
    const logs = this.topics.get(topic)
    if (logs === undefined) throw new RangeError(`there is no topic '${topic}'`)
    return logs
  }
}
