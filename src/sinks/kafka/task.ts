import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  from,
  ignoreElements,
  type Observable,
  tap,
  throwError,
} from 'rxjs'
import type { TopicRequest } from '../../kafka/admin.js'
import { KafkaTransaction } from '../../kafka/checkpoint-transaction.js'
import { type ClientError, codes } from '../../kafka/client.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { kafkaError, kafkaRefusal } from '../../kafka/errors.js'
import { refusalOf } from '../../kafka/faults.js'
import { NamedTopics } from '../../kafka/named-topics.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import { KafkaWriter } from '../../kafka/writer.js'
import {
  Batch,
  operate,
  recordFault,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  type WeirError,
  within,
} from '../../model/index.js'
import { type Making, messageOf } from './message.js'

export interface KafkaSinkSettings extends Making {
  readonly partitions: number
  readonly create: boolean
  readonly deliveryTimeout: number
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly linger: number
  readonly connection?: string | undefined
}

type Write = (message: OutgoingMessage, record: StreamRecord) => void
type Send = readonly [OutgoingMessage, StreamRecord]

/** Writes each record to a topic at once, and completes when the brokers have acknowledged them all. */
export class KafkaSinkTask implements SinkTask {
  private readonly connection: KafkaConnection
  private readonly writer: KafkaWriter<StreamRecord>
  private readonly doing: string
  private readonly request: Omit<TopicRequest, 'topic'>
  /** The first record of the epoch: what fails lies there or behind it. */
  private first: StreamRecord | undefined
  /** Where records name their topics. */
  private readonly named: NamedTopics | undefined

  constructor(
    private readonly settings: KafkaSinkSettings,
    private readonly context: SinkContext,
  ) {
    const { topic, partitions, create } = settings
    const { flow, stage, clock } = context
    const place = { flow, stage }
    this.connection = context.connection<KafkaConnection>('kafka', settings.connection)
    this.doing = `writing ${typeof topic === 'string' ? `topic '${topic}'` : 'topics'} of flow '${flow}'`
    this.request = { partitions, create, writes: true, doing: this.doing, unreachable: 'WEIR_SINK_UNREACHABLE', place }
    if (typeof topic !== 'string') this.named = new NamedTopics(this.connection.topics, this.request, clock)
    this.writer = new KafkaWriter(this.connection, {
      deliveryTimeoutMs: settings.deliveryTimeout,
      compression: settings.compression,
      lingerMs: settings.linger,
      doing: this.doing,
      place,
      namesTopics: this.named !== undefined,
      keeps: context.replays !== true,
      refused: (record, error) => this.reject(record, error),
    })
  }

  open(): Observable<never> {
    const { topic } = this.settings
    this.named?.clear()
    const ready$ = this.context.joins === true ? EMPTY : this.writer.ready$
    if (typeof topic !== 'string') return ready$
    return concat(this.connection.topics.ensure$({ ...this.request, topic }).pipe(ignoreElements()), ready$)
  }

  /** In the transaction of the epoch where the flow asks for it: only the commit waits, the writing does not. */
  write(records$: Observable<StreamRecord>): Observable<never> {
    const transaction = this.context.transaction(this.connection)
    this.first = undefined
    const written$ = transaction instanceof KafkaTransaction ? this.join(records$, transaction) : this.alone(records$)
    return written$.pipe(catchError((error: unknown) => throwError(() => within(error, this.first))))
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  private alone(records$: Observable<StreamRecord>): Observable<never> {
    const write: Write = (message, record) => this.writer.write(message, record)
    return concat(this.writer.ready$, this.sending(records$, write), this.writer.flush$)
  }

  private join(records$: Observable<StreamRecord>, transaction: KafkaTransaction): Observable<never> {
    const write: Write = (message, record) => transaction.write(message, record, (error) => this.refuse(record, error))
    return concat(transaction.join$, this.sending(records$, write), transaction.flush$)
  }

  private sending(records$: Observable<StreamRecord>, write: Write): Observable<never> {
    const { named } = this
    if (named === undefined) {
      return records$.pipe(
        tap((record) => this.each(record, write)),
        ignoreElements(),
      )
    }
    return this.messages(records$).pipe(
      concatMap((send) => {
        const [{ topic }] = send
        if (named.verdict(topic) !== undefined) return this.sendNamed(send, named, write)
        return concat(
          from(named.find(topic)).pipe(ignoreElements()),
          defer(() => this.sendNamed(send, named, write)),
        )
      }),
    )
  }

  private sendNamed([message, record]: Send, named: NamedTopics, write: Write): Observable<never> {
    const verdict = named.verdict(message.topic)
    if (verdict === undefined || verdict === 'there') write(message, record)
    else this.context.reject(record, verdict)
    return EMPTY
  }

  private messages(records$: Observable<StreamRecord>): Observable<Send> {
    return operate<StreamRecord, Send>((output) => ({
      next: (record) => this.each(record, (message, member) => output.next([message, member])),
    }))(records$)
  }

  /** Hands on the message of a record, or of each record of a batch, unless there can be none. */
  private each(record: StreamRecord, take: Write): void {
    if (!(record.value instanceof Batch)) return this.one(record, take)
    for (const member of record.value.records) this.one(member, take)
  }

  private one(record: StreamRecord, take: Write): void {
    this.first ??= record
    let message: OutgoingMessage
    try {
      message = messageOf(this.settings, record)
    } catch (error) {
      return this.context.reject(record, recordFault(error, this.doing))
    }
    take(message, record)
  }

  /** What a transaction was refused for: of a topic that no record has named it is no record's fault. */
  private refuse(record: StreamRecord, error: ClientError): void {
    if (refusalOf(error, this.named !== undefined) === undefined)
      throw kafkaError('WEIR_SINK_FAILED', this.doing, error, this.place)
    this.reject(record, kafkaRefusal(this.doing, error, this.place))
  }

  private reject(record: StreamRecord, error: WeirError): void {
    if ((error.cause as ClientError).code === codes.topicRefused) this.named?.clear()
    this.context.reject(record, error)
  }

  private get place() {
    return { flow: this.context.flow, stage: this.context.stage }
  }
}
