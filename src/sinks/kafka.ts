import { concat, EMPTY, ignoreElements, type Observable, tap } from 'rxjs'
import { z } from 'zod'
import { bytesOf } from '../kafka/bytes.js'
import { KafkaTransaction } from '../kafka/checkpoint-transaction.js'
import type { KafkaConnection } from '../kafka/connection.js'
import { kafkaError } from '../kafka/errors.js'
import type { OutgoingMessage } from '../kafka/producer.js'
import { KafkaWriter } from '../kafka/writer.js'
import {
  Batch,
  type Configurable,
  clientDuration,
  correlationHeader,
  correlationOf,
  defineSink,
  duration,
  fn,
  type Header,
  headerOf,
  type Key,
  type Sink,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
} from '../model/index.js'

type Of<R> = (value: never, record: StreamRecord) => R

const options = z.strictObject({
  topic: z
    .union([z.string().min(1), fn<Of<string>>()])
    .describe('The topic, or a function of the value that names it.'),
  key: fn<Of<Key | undefined>>()
    .optional()
    .describe("The key, as a function of the value and its record. Default: the record's key."),
  value: fn<Of<unknown>>()
    .optional()
    .describe(
      'What is written: bytes and text as they are, null or undefined as a tombstone, all else as JSON. Default: the value.',
    ),
  headers: fn<Of<readonly Header[]>>()
    .optional()
    .describe("The headers, as a function of the value and its record. Default: the record's."),
  timestamp: fn<Of<number>>()
    .optional()
    .describe("The timestamp in ms, as a function of the value and its record. Default: the record's."),
  partitions: z.int().positive().default(3).describe('How many partitions the topic gets if it has to be created.'),
  create: z.boolean().default(true).describe('Whether a missing topic is created.'),
  deliveryTimeout: clientDuration
    .default(30_000)
    .describe('How long a message may stay unacknowledged before its epoch fails.'),
  compression: z
    .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    .default('none')
    .describe('How messages are compressed.'),
  linger: duration
    .refine((ms) => ms <= 900_000, "expected no more than '15m'")
    .default(0)
    .describe('How long a message may wait for others to share its request. Longer is less work and later.'),
  connection: z.string().optional().describe('The Kafka connection, where there are several.'),
})

type Options = z.output<typeof options>
type Write = (message: OutgoingMessage, record: StreamRecord) => void

/** Writes each record to a topic at once, and completes when the brokers have acknowledged them all. */
export const kafkaSink = defineSink({
  name: 'kafka.sink',
  summary: 'Writes records to a Kafka topic, idempotently and in the order of each key.',
  connection: 'kafka',
  options,
  onError: 'fail',
  guarantee: (_, joins) => (joins ? 'exactly-once' : 'at-least-once'),
  transactional: 'on-request',
  detail: ({ topic }) => (typeof topic === 'string' ? topic : 'topics by value'),
  build: (settings, context) => new KafkaSinkTask(settings, context),
})

class KafkaSinkTask implements SinkTask {
  private readonly connection: KafkaConnection
  private readonly writer: KafkaWriter<StreamRecord>
  private readonly doing: string

  constructor(
    private readonly settings: Options,
    private readonly context: SinkContext,
  ) {
    this.connection = context.connection<KafkaConnection>('kafka', settings.connection)
    this.doing = `writing ${typeof settings.topic === 'string' ? `topic '${settings.topic}'` : 'topics'} of flow '${context.flow}'`
    this.writer = new KafkaWriter(this.connection, {
      deliveryTimeoutMs: settings.deliveryTimeout,
      compression: settings.compression,
      lingerMs: settings.linger,
      doing: this.doing,
      place: this.place,
      refused: (record, error) => context.reject(record, error),
    })
  }

  open(): Observable<never> {
    const { topic, partitions, create } = this.settings
    const ready$ = this.context.joins === true ? EMPTY : this.writer.ready$
    if (typeof topic !== 'string') return ready$
    const request = {
      topic,
      partitions,
      create,
      doing: this.doing,
      unreachable: 'WEIR_SINK_UNREACHABLE',
      place: this.place,
    } as const
    return concat(this.connection.topics.ensure$(request).pipe(ignoreElements()), ready$)
  }

  /** In the transaction of the epoch where the flow asks for it: only the commit waits, the writing does not. */
  write(records$: Observable<StreamRecord>): Observable<never> {
    const transaction = this.context.transaction(this.connection)
    if (transaction instanceof KafkaTransaction) return this.join(records$, transaction)
    const write: Write = (message, record) => this.writer.write(message, record)
    return concat(this.writer.ready$, this.sending(records$, write), this.writer.flush$)
  }

  private join(records$: Observable<StreamRecord>, transaction: KafkaTransaction): Observable<never> {
    const write: Write = (message, record) =>
      transaction.write(message, (error) =>
        this.context.reject(record, kafkaError('WEIR_RECORD_REFUSED', this.doing, error, this.place)),
      )
    return concat(transaction.join$, this.sending(records$, write), transaction.flush$)
  }

  private sending(records$: Observable<StreamRecord>, write: Write): Observable<never> {
    return records$.pipe(
      tap((record) => this.send(record, write)),
      ignoreElements(),
    )
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  private send(record: StreamRecord, write: Write): void {
    if (!(record.value instanceof Batch)) return this.sendOne(record, write)
    for (const member of record.value.records) this.sendOne(member, write)
  }

  private sendOne(record: StreamRecord, write: Write): void {
    const { topic, key, value, timestamp } = this.settings
    const given = record.value as never
    const made = key === undefined ? record.key : key(given, record)
    write(
      {
        topic: typeof topic === 'string' ? topic : topic(given, record),
        key: made ?? null,
        value: bytesOf(value === undefined ? given : value(given, record)),
        timestamp: timestamp === undefined ? record.timestamp : timestamp(given, record),
        headers: this.headersOf(record),
      },
      record,
    )
  }

  private headersOf(record: StreamRecord): readonly Header[] {
    const headers = this.settings.headers?.(record.value as never, record) ?? record.headers
    if (record.origin.offset < 0 || headerOf(headers, correlationHeader) !== undefined) return headers
    return [...headers, { [correlationHeader]: correlationOf(record) }]
  }

  private get place() {
    return { flow: this.context.flow, stage: this.context.stage }
  }
}

interface By<T, R> {
  (value: T, record: StreamRecord<T>): R
}

/** The options of `kafka.sink`, with functions that see the values of the flow. */
export type KafkaSinkOptions<T> = Configurable<
  Omit<z.input<typeof options>, 'topic' | 'key' | 'value' | 'headers' | 'timestamp'>
> & {
  readonly topic: Configurable<string> | By<T, string>
  readonly key?: By<T, Key | undefined>
  readonly value?: By<T, unknown>
  readonly headers?: By<T, readonly Header[]>
  readonly timestamp?: By<T, number>
}

/** Writes a flow's values, or each of the values that `batch` gathered, to a topic. */
export function sink<T>(options: KafkaSinkOptions<T>): Sink<T | Batch<T>> {
  return kafkaSink.declare(options)
}
