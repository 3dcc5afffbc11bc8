import type { Observable } from 'rxjs'
import type { ErrorPlace } from './errors.js'
import type { Logger } from './log.js'
import type { SourceTask } from './source.js'

/** The topics that a source reads, as it would make them where they are missing. */
export interface TopicsRead {
  readonly topics: readonly string[]
  readonly partitions: number
  readonly create: boolean
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
  /** Messages of one key go to one partition; null goes to `partition`, or to the first. */
  readonly key: string | null
  readonly value: Buffer
  readonly partition?: number
}

/** Writes to an internal topic, in the order of `write` for each partition. */
export interface ChannelWriter {
  /** Completes when the topic is there and can be written to, and emits how many partitions it has. */
  open(): Observable<number>
  /** Queues a message; errors show in `flush`. */
  write(message: ChannelMessage): void
  /** Completes when all that was written is acknowledged. */
  flush(): Observable<never>
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
}
