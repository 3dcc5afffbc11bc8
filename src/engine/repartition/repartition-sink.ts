import { catchError, concat, defer, EMPTY, ignoreElements, type Observable, tap, throwError } from 'rxjs'
import { z } from 'zod'
import {
  type ChannelKind,
  type ChannelWriter,
  CombinedRecord,
  type Connection,
  defineSink,
  type Origin,
  PartialResult,
  PartitionMap,
  type PartitionTold,
  partitionName,
  place,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  type TopicPartition,
  type TopicsRead,
  WeirError,
} from '../../model/index.js'
import { UnkeepableError } from '../../state/index.js'
import { Awakenings } from './awakenings.js'
import { type AheadMessage, messageBytes, type PartialMessage, pack, packed, type RecordMessage } from './messages.js'

/** What joins two tasks of a flow; the compiler makes it. */
export interface Joint {
  /** The kind of the connection that carries it. */
  readonly connectionKind: string
  readonly channel: ChannelKind<Connection>
  readonly topic: string
  readonly group: string
  readonly like: readonly TopicsRead[] | 'single'
  /** The topics that the task in front of it reads. */
  readonly reads: readonly string[]
  /** Whether a stage behind it writes dead letters: they are the bytes that the source read. */
  readonly keepsBytes: boolean
}

export const jointOptions = z.custom<Joint>()

/**
 * The end of a task whose records another task goes on with: writes them to the internal topic, and after them, at the
 * end of each epoch, how far each source partition has come, to every partition of the topic and in this order. For what
 * is told an epoch does not wait: the next one does, and where it got lost, all is told anew.
 */
export const repartitionSink = defineSink({
  name: 'repartition.sink',
  summary: 'Hands records to another task of the flow.',
  options: jointOptions,
  guarantee: () => 'exactly-once',
  detail: ({ topic }) => topic,
  build: (joint, context) => new RepartitionSink(joint, context),
})

class RepartitionSink implements SinkTask {
  private readonly writer: ChannelWriter
  private readonly awakenings: Awakenings
  private partitions = 0
  /** After an epoch that did not come to its end the writer has to be opened again, be it that it was cut off. */
  private isOpen = false
  /** How large a message may be: less than usual once a topic has not taken that. */
  private mostBytes: number = messageBytes.usual
  /** What was told last of each source partition. */
  private readonly told = new Map<string, string>()
  private readonly generations = new PartitionMap<number>()
  /** Tells records apart that were made of one: by source partition the last one that was, and how many there were. */
  private readonly before = new PartitionMap<{ offset: number; index: number }>()

  constructor(
    private readonly joint: Joint,
    private readonly context: SinkContext,
  ) {
    const { flow, stage, log, time } = context
    this.writer = joint.channel.writer(context.connection(joint.connectionKind), {
      ...joint,
      instance: undefined,
      place: { flow, stage },
      log,
    })
    this.awakenings = new Awakenings(joint.topic, this.writer, time.tells(), context)
  }

  open(): Observable<never> {
    return this.writer.open().pipe(
      tap((partitions) => {
        this.partitions = partitions
        this.isOpen = true
        this.told.clear()
        this.awakenings.clear()
      }),
      ignoreElements(),
    )
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    this.before.clear()
    // What is assigned does not change within an epoch.
    this.generations.clear()
    for (const { topic, partition, generation } of this.context.time.told())
      this.generations.set(topic, partition, generation)
    const written$ = records$.pipe(
      tap((record) => this.send(record)),
      ignoreElements(),
    )
    const told$ = defer(() => {
      this.awakenings.acknowledged()
      const { time } = this.context
      // First: what comes again of those is known by that, even if a window has closed since.
      for (const told of time.left()) if (told.isForgotten === true) this.tell(told)
      for (const told of time.told()) this.tell(told)
      this.isOpen = true
      return EMPTY
    })
    return concat(this.isOpen ? EMPTY : this.open(), this.tellAnew(), written$, this.writer.flush(), told$).pipe(
      catchError((error: unknown) => throwError(() => this.smaller(error))),
    )
  }

  committed(): Observable<never> {
    return this.awakenings.ask()
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  /** What a topic has sent that took the place of another must not be taken for repeats of that one. */
  private tellAnew(): Observable<never> {
    return defer(() => {
      this.isOpen = false
      for (const told of this.context.time.told())
        if ((told.before > 0 || told.id !== undefined) && !this.told.has(partitionName(told))) this.tell(told)
      return EMPTY
    })
  }

  private send(record: StreamRecord): void {
    try {
      if (record.value instanceof PartialResult) this.sendPartial(record.key, record.value)
      else if (record.value instanceof CombinedRecord) this.sendAhead(record.key, record.value)
      else this.sendRecord(record)
    } catch (error) {
      if (!(error instanceof UnkeepableError)) throw error
      const { value } = record
      if (value instanceof PartialResult && value.unkept !== undefined) throw value.unkept(error)
      this.context.reject(record, unkeepable(record, error))
    }
  }

  /** A topic that does not take a message takes it in smaller pieces: no record is at fault for that. */
  private smaller(error: unknown): unknown {
    if (!(error instanceof WeirError) || !error.isTooLarge) return error
    const { message, cause } = error
    const canBe = this.mostBytes > messageBytes.least
    if (canBe) this.mostBytes = Math.max(messageBytes.least, this.mostBytes / 8)
    const hint = canBe ? 'It is cut into smaller ones.' : "Raise the topic's max.message.bytes."
    return new WeirError('WEIR_SINK_FAILED', message, { ...error.place, hint, cause, atOnce: canBe })
  }

  private sendAhead(messageKey: StreamRecord['key'], { record, segment, key }: CombinedRecord): void {
    const { origin, headers } = record
    const { topic, partition, offset } = origin
    const generation = this.generations.get(topic, partition) ?? 0
    const asRead = this.asRead(origin)
    const message = { kind: 'ahead', topic, partition, generation, offset, segment, key, headers, asRead } as const
    this.writeAll(messageKey, message)
  }

  private writeAll(key: StreamRecord['key'], message: PartialMessage | AheadMessage | RecordMessage): void {
    for (const value of packed(message, this.mostBytes)) this.writer.write({ key, value })
  }

  private asRead(origin: Origin): Origin | undefined {
    return this.joint.keepsBytes ? origin : undefined
  }

  private sendPartial(messageKey: StreamRecord['key'], partial: PartialResult): void {
    const { source, generation, last, segment, key, version, saved } = partial
    this.writeAll(messageKey, { kind: 'partial', ...source, generation, last, segment, key, version, saved })
  }

  private sendRecord({ key, value, timestamp, behindMs, headers, origin }: StreamRecord): void {
    const { topic, partition, offset } = origin
    const index = this.indexOf(origin)
    const generation = this.generations.get(topic, partition) ?? 0
    const message = {
      kind: 'record',
      topic,
      partition,
      generation,
      offset,
      index,
      timestamp,
      behindMs,
      key,
      headers,
      value,
      asRead: this.asRead(origin),
    } as const
    this.writeAll(key, message)
  }

  /** Errors, and the flow stops, when records come in another order than they were read in. */
  private indexOf({ topic, partition, offset }: StreamRecord['origin']): number {
    const last = this.before.get(topic, partition)
    if (last !== undefined && offset < last.offset)
      throw unorderedError(place({ topic, partition, offset }), last.offset)
    const index = last?.offset === offset ? last.index + 1 : 0
    this.before.set(topic, partition, { offset, index })
    return index
  }

  /** Says nothing that was said already, but that a partition is still idle: that holds for as long as it is repeated. */
  private tell(told: PartitionTold): void {
    const reads = this.readsOf(told)
    const said = JSON.stringify({ ...told, reads, position: undefined })
    const source = partitionName(told)
    this.awakenings.told(source, told)
    if (this.told.get(source) === said && !told.idle) return
    this.told.set(source, said)
    const value = pack({ kind: 'told', ...told, reads })
    for (let partition = 0; partition < this.partitions; partition++) this.writer.write({ key: null, partition, value })
  }

  /** Told by the partition whose task sends on what is left of topics that are read no longer, once it is committed that it has. */
  private readsOf({ topic, partition }: TopicPartition): readonly string[] | undefined {
    const { reads } = this.joint
    if (partition !== 0 || topic !== reads[0]) return undefined
    return this.context.time.left().some(({ isForgotten }) => isForgotten === true) ? undefined : reads
  }
}

function unkeepable({ origin }: StreamRecord, cause: UnkeepableError): WeirError {
  const { topic, partition, offset } = origin
  return new WeirError('WEIR_STAGE_FAILED', `writing an internal topic: ${cause.message}`, {
    partition: { topic, partition },
    offset,
    cause,
    hint: 'Make plain data of it before: objects, arrays, Map, Set, Date, bigint, bytes.',
  })
}

function unorderedError(at: string, last: number): WeirError {
  return new WeirError('WEIR_STAGE_FAILED', `writing an internal topic: ${at} comes after offset ${last}`, {
    remedy: 'stop',
    hint: 'Repeats are known by the order of the records: put what changes it behind the stage that keeps state.',
  })
}
