import type { Observable } from 'rxjs'
import type { ErrorPlace } from './errors.js'
import type { Logger } from './log.js'
import type { TopicPartition } from './partition.js'
import type { Header, Key } from './record.js'
import type { Position, SourceTask, TopicFacts } from './source.js'

/** The topics that a source reads, as it would make them where they are missing. */
export interface TopicsRead {
  readonly topics: readonly string[]
  /** The consumer group, where one was named. */
  readonly group?: string | undefined
  readonly partitions: number
  readonly create: boolean
  /** What becomes of the flow when a topic was made anew, or has another number of partitions. */
  readonly onRecreated?: 'fail' | 'restart'
  readonly onGrown?: 'fail' | 'accept'
}

/** A topic by which two tasks of a flow are joined. */
export interface ChannelRequest {
  /** `<app>.<flow>.<stage>.repartition`. */
  readonly topic: string
  /** The consumer group of the tasks that read it. */
  readonly group: string
  /** How many partitions it gets: as many as the largest of these topics has, or only one. */
  readonly like: readonly TopicsRead[] | 'single'
  /** The lasting name of this process in consumer groups, where it has one. */
  readonly instance: string | undefined
  readonly place: ErrorPlace
  readonly log: Logger
}

export interface ChannelMessage {
  readonly key: Key
  readonly value: Buffer | null
  /** Default: by the key, and without one the first. */
  readonly partition?: number
  readonly headers?: readonly Header[]
}

/**
 * Writes to an internal topic, in the order of `write` for each partition, and without gaps: after an error nothing more is
 * written before it is opened again.
 */
export interface ChannelWriter {
  /** Completes when the topic is there and can be written to, and emits how many partitions it has. */
  open(): Observable<number>
  /** Queues a message; errors show in `flush`. */
  write(message: ChannelMessage): void
  /** Completes when all that was written is acknowledged. */
  flush(): Observable<never>
  /** Asks where the next message of each partition will be. Errors when one of them is not told. */
  ends(): Observable<readonly Position[]>
  close(): Observable<never>
}

/** The offsets that a partition has: from the first one to before the second. */
export interface LogEnds extends TopicPartition {
  readonly start: number
  readonly end: number
}

/** A topic that keeps the last message of each key. */
export interface TableRequest {
  readonly topic: string
  readonly place: ErrorPlace
  readonly log: Logger
}

export interface TableMessage {
  readonly key: string
  /** Null removes the key. */
  readonly value: Buffer | null
}

/** Some messages of a table, in order. */
export interface TableMessages {
  readonly messages: readonly TableMessage[]
  /** Whether this is all that there was at some moment since reading began. */
  readonly atEnd: boolean
}

/** A topic of one partition that everybody writes, and reads from its beginning. */
export interface TableChannel {
  /** Completes when the topic is there and can be written to. */
  open(): Observable<never>
  /** Queues a message; errors show in `flush`. */
  write(message: TableMessage): void
  /** Completes when all that was written is acknowledged. */
  flush(): Observable<never>
  /** All that there is, and what comes, as long as it is subscribed. */
  readonly messages$: Observable<TableMessages>
  close(): Observable<never>
}

/** What a kind of connection needs to join the tasks of a flow. */
export interface ChannelKind<C = unknown> {
  writer(connection: C, request: ChannelRequest): ChannelWriter
  /**
   * Reads messages as buffers, as a member of its group; its `commit` also truncates the topic behind the committed positions
   * from time to time.
   */
  source(connection: C, request: ChannelRequest): SourceTask
  /** What topics are at the moment; undefined where there is none of that name. Errors when nobody answers. */
  describe?(
    connection: C,
    topics: readonly string[],
  ): Promise<ReadonlyMap<string, Pick<TopicFacts, 'id' | 'partitions'> | undefined>>
  /** Where the logs of these partitions begin and end, of those that there are. Errors when nobody answers. */
  logEnds?(connection: C, partitions: readonly TopicPartition[]): Promise<readonly LogEnds[]>
  /** Undefined where nobody else can read it: an embedded server. */
  table?(connection: C, request: TableRequest): TableChannel | undefined
}
