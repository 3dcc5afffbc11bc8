import {
  concat,
  concatMap,
  defer,
  EMPTY,
  from,
  ignoreElements,
  type Observable,
  of,
  reduce,
  switchMap,
  tap,
} from 'rxjs'
import {
  type AssignmentChange,
  type ChannelMessage,
  type ChannelRequest,
  type ChannelWriter,
  describeError,
  type Epoch,
  noHeaders,
  type PartitionEnd,
  type Position,
  type SourceTask,
  type StreamRecord,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { KafkaConnection } from './connection.js'
import type { KafkaValue } from './kafka-value.js'
import { partitionOf } from './partitioner.js'
import type { OutgoingMessage } from './producer.js'
import { KafkaReader } from './reader.js'
import { usualMessageBytes } from './topic-settings.js'
import { KafkaWriter } from './writer.js'

const deliveryTimeoutMs = 30_000
const truncateEveryMs = 10_000
/** A longer key stays out of the message, which has to be as small as the topic takes; it says only where it goes. */
const longestKey = 1_024

/** Writes the internal topic of a flow. */
export class KafkaChannelWriter implements ChannelWriter {
  private readonly writer: KafkaWriter<ChannelMessage>
  private partitions = 0

  constructor(
    private readonly connection: KafkaConnection,
    private readonly request: ChannelRequest,
  ) {
    const { place } = request
    this.writer = new KafkaWriter(connection, {
      deliveryTimeoutMs,
      compression: 'lz4',
      lingerMs: 0,
      // How far a partition has come must not be told where what lies before it was lost.
      gapless: true,
      doing: this.doing,
      place,
      refused: (_message, error) => {
        throw error
      },
    })
  }

  open(): Observable<number> {
    return made$(this.connection, this.request).pipe(
      tap((partitions) => (this.partitions = partitions)),
      switchMap((partitions) => concat(this.writer.ready$, of(partitions))),
    )
  }

  write(message: ChannelMessage): void {
    const { topic } = this.request
    const { value, headers = noHeaders } = message
    this.writer.write({ topic, ...this.wayOf(message), value, timestamp: Date.now(), headers }, message)
  }

  private wayOf({ key, partition }: ChannelMessage): Pick<OutgoingMessage, 'key' | 'partition'> {
    if (key === null || partition !== undefined) return { key, partition: partition ?? 0 }
    if (key.length <= longestKey) return { key }
    return { key: null, partition: partitionOf(Buffer.from(key), this.partitions) }
  }

  flush(): Observable<never> {
    return this.writer.flush$
  }

  ends(): Observable<readonly Position[]> {
    const { topic } = this.request
    const all = Array.from({ length: this.partitions }, (_, partition) => ({ topic, partition }))
    return defer(() => this.connection.topics.offsets(all, 'latest')).pipe(
      tap(({ length }) => {
        if (length < all.length)
          throw new WeirError('WEIR_SINK_UNREACHABLE', `${this.doing}: not all its ends are told`)
      }),
    )
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  private get doing(): string {
    return `writing internal topic '${this.request.topic}'`
  }
}

/** Nothing of it may go but what was read, and pieces have to fit, whatever the brokers do with other topics. */
const internalConfig = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'max.message.bytes': usualMessageBytes,
}

/** Emits how many partitions the internal topic has; it is made where it is missing, once there is what it has to be like. */
function made$(connection: KafkaConnection, { topic, like, place, log }: ChannelRequest): Observable<number> {
  const doing = `making internal topic '${topic}'`
  const request = { doing, unreachable: 'WEIR_SINK_UNREACHABLE', place } as const
  const sources =
    like === 'single' ? [] : like.flatMap(({ topics, ...rest }) => topics.map((one) => ({ one, ...rest })))
  return from(sources).pipe(
    concatMap(({ one, partitions, create }) => {
      const source = { ...request, topic: one, partitions, create: create || connection.isEmbedded }
      return connection.topics.await$(source, (error) => log.debug(describeError(error)))
    }),
    reduce((most, count) => Math.max(most, count), 1),
    switchMap((partitions) =>
      connection.topics.ensure$({
        ...request,
        topic,
        partitions,
        create: true,
        internal: true,
        config: internalConfig,
      }),
    ),
  )
}

/** Reads the internal topic of a flow. */
export class KafkaChannelReader implements SourceTask<KafkaValue> {
  readonly assignments$: Observable<AssignmentChange>
  private readonly reader: KafkaReader
  private truncatedAt = performance.now()
  private isTruncating = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly request: ChannelRequest,
  ) {
    const { topic, group, instance, place, log } = request
    this.reader = new KafkaReader(connection, {
      topics: [topic],
      group,
      instance,
      from: 'earliest',
      // It has been made by then, but not every broker may know of it yet; asking for it again finds out.
      partitions: 1,
      create: true,
      isInternal: true,
      keeps: 'state by key',
      onGap: 'warn',
      onRecreated: 'fail',
      onTruncated: 'fail',
      onGrown: 'fail',
      stallAfterMs: 30_000,
      client: {},
      doing: `reading internal topic '${topic}'`,
      place,
      log,
    })
    this.assignments$ = concat(made$(connection, request).pipe(ignoreElements()), this.reader.assignments$)
  }

  read(epoch: Epoch): Observable<StreamRecord<KafkaValue>> {
    return this.reader.read(epoch)
  }

  positions(): readonly Position[] {
    return this.reader.positions()
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return this.reader.rewind(positions)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return concat(
      this.reader.commit(positions),
      defer(() => {
        this.truncate(positions)
        return EMPTY
      }),
    )
  }

  hold(at: Position): void {
    this.reader.hold(at)
  }

  goOn(partition: TopicPartition): void {
    this.reader.goOn(partition)
  }

  trouble(): WeirError | undefined {
    return this.reader.trouble()
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return this.reader.ends()
  }

  /** What is committed is needed by nobody; that it goes later is no concern of the epoch. */
  private truncate(positions: readonly Position[]): void {
    const now = performance.now()
    const before = positions.filter(({ topic, offset }) => topic === this.request.topic && offset > 0)
    if (this.isTruncating || before.length === 0 || now - this.truncatedAt < truncateEveryMs) return
    this.truncatedAt = now
    this.isTruncating = true
    const truncated = this.connection.topics
      .deleteBefore(before)
      .catch((error: unknown) => this.request.log.debug({ err: error }, 'Kafka: truncating an internal topic failed'))
      .finally(() => {
        this.isTruncating = false
      })
    this.connection.closes(truncated)
  }
}
