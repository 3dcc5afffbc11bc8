import type { MonoTypeOperatorFunction, Observable, OperatorFunction } from 'rxjs'
import { z } from 'zod'
import type { TopicsRead } from './channel.js'
import type { EpochTransaction, HeldPartition } from './checkpoint.js'
import type { Clock } from './clock.js'
import type { Connection } from './connection.js'
import type { WeirError } from './errors.js'
import type { HttpServer } from './http-port.js'
import type { Logger } from './log.js'
import type { MetricReading, StageMetric } from './metric.js'
import type { TopicPartition } from './partition.js'
import type { StreamRecord } from './record.js'
import type { Keeps, SourceTask, TopicChange } from './source.js'
import type { Store, StoreBounds, StoreCodec } from './store.js'
import type { ViewStorage } from './view-storage.js'

/**
 * What becomes of a record that a stage can't take: `fail` ends the epoch, `dead-letter` writes it to the dead-letter
 * topic before the epoch commits, `skip` logs and counts it.
 */
export const rejectionPolicy = z.enum(['fail', 'dead-letter', 'skip'])
export type RejectionPolicy = z.infer<typeof rejectionPolicy>

/** What a flow promises of the effect of one record, whatever crashes. */
export type Guarantee = 'exactly-once' | 'effectively-once' | 'at-least-once' | 'at-most-once'

export interface StageContext {
  readonly app: string
  readonly flow: string
  readonly stage: string
  readonly clock: Clock
  readonly log: Logger
  /** The opened connection of a kind: the one named, or else the only one there is. */
  connection<C extends Connection>(kind: string, name?: string): C
}

export interface Rejecting {
  /**
   * Hands a record that this stage can't take to its policy. Returns when the record was taken care of, throws the
   * error when the policy is `fail`.
   */
  reject(record: StreamRecord, error: unknown): void
}

/** How the time of partitions goes. */
export interface TimeOptions {
  /** How far a record may trail its partition's stream time before windows can have closed without it. */
  readonly outOfOrderMs: number
  /** After how long without a record a partition that is read to its end is not awaited. */
  readonly idleAfterMs: number
  /** Whether the time of such a partition moves on as time passes. Default true. */
  readonly movesOn?: boolean
}

/**
 * Event time as a stage knows it. Each input has its own out-of-orderness and idleness: what a stage on the way of one
 * input says of them holds for that input, and what one behind a merge says for all.
 */
export interface StreamTime {
  /** Says what `eventTime` was told. Without such a stage it is the source's timestamps, in order. */
  configure(options: TimeOptions): void
  /** How far a record of this topic may trail its partition's stream time before windows can have closed without it. */
  outOfOrderMsOf(topic: string): number
  /** Moves a partition's stream time; returns by how many ms this time trails it. */
  observe(topic: string, partition: number, timestamp: number): number
  /** No record at or before this time is awaited from any partition, ms. Changes only between epochs' records. */
  watermark(): number
  /** The watermark that was committed last, or -Infinity: results up to here are out. */
  readonly closed: number
  /** The watermark of one partition alone. */
  watermarkOf(partition: TopicPartition): number
  /** Up to where results of one partition alone are out, or -Infinity. */
  closedOf(topic: string, partition: number): number
  /** Whether a partition was read to its end when the last epoch ended. */
  isRead(topic: string, partition: number): boolean
  /** Whether all partitions of the topics are here: only then does `closed` speak for all of them. */
  readonly isWhole: boolean
  /**
   * Says that another task is told how far partitions have come: that one is idle is committed before it is told, and holds
   * until that task is known to await the partition again.
   */
  tells(): AwaitedAgain
  /** How far each partition has come, as other tasks are told it. */
  told(): readonly PartitionTold[]
  /**
   * Partitions that their topics no longer have, or whose topics are read no longer, as if they were idle: what is left of them
   * is sent on. Of the latter it is told that it was.
   */
  left(): readonly PartitionTold[]
  /** Whether other tasks may have been told that a partition is idle: its records can come too late there. */
  toldIdle(topic: string, partition: number): boolean
  /** Has partitions go by what other tasks told, in place of the times of their records. */
  follow(told: (partition: TopicPartition) => FollowedTime): void
}

/**
 * Another task awaits a partition again that it was told to be idle, and up to `closed`, ms, it may have closed windows
 * without it.
 */
export type AwaitedAgain = (partition: TopicPartition & { readonly generation: number }, closed: number) => void

/** What a partition goes by in place of the times of its records. */
export interface FollowedTime {
  readonly watermark: number
  readonly idle: boolean
  /** How often time was set back when that was told: see `PartitionProgress`. Default 0. */
  readonly timeSets?: number | undefined
}

/** How far a source partition has come. */
export interface PartitionTold extends TopicPartition {
  readonly generation: number
  /** The next offset to read. */
  readonly position: number
  /** How many offsets went by in topics that had this name before; with another number all that was told is of those. */
  /** Tells its topic from others of that name. */
  readonly id?: string | undefined
  readonly before: number
  /**
   * How many partitions its topic has: nothing is left of any others. Told by the first of them alone; undefined where that is
   * not known, or not so yet.
   */
  readonly partitions?: number | undefined
  /** Where its records have brought it, ms; -Infinity before the first. */
  readonly watermark: number
  readonly idle: boolean
  /** By how much it has moved on beyond that while it was idle, ms. */
  readonly movedOnMs: number
  /** How many partitions the topics of its input have, all tasks together. */
  readonly total: number
  /** How often time was set back: see `PartitionProgress`. Default 0. */
  readonly timeSets?: number | undefined
  /** Whether its topic is read no longer. */
  readonly isForgotten?: boolean
}

export interface OperatorContext extends StageContext, Rejecting {
  readonly time: StreamTime
  /** Counts a record in which a selector found nothing to take in, in `weir_values_skipped_total`. */
  readonly skipped?: () => void
  /** Whether a value can be kept, or go from task to task. Errors where it would come back as something else, or not at all. */
  readonly keepable?: (value: unknown) => void
  /** Says how to ask what the metrics of this stage are at the moment: at any time, and often. Call it while building. */
  readonly measures?: (readings: () => readonly MetricReading[]) => void
  /**
   * Declares a store of this stage, named by its definition's `stores`, which keeps what it is given unless it has bounds.
   * Call it while building.
   * Errors: WEIR_STORE_UNDECLARED when it is not named there, WEIR_CONFIG_INVALID when the name is taken, or the bounds
   * leave no room.
   */
  store<V>(name: string, codec: StoreCodec<V>, bounds?: StoreBounds): Store<V>
}

export interface SourceContext extends StageContext, Rejecting {
  readonly http: HttpServer
  /** The lasting name of this source in consumer groups, unique in the process, where the process has one. */
  readonly instance: string | undefined
  /** What its task keeps besides positions. */
  readonly keeps: Keeps
  /** Told of each change of a topic that it noticed. */
  noticed(change: TopicChange): void
  /**
   * Declares a store of this stage, named by its definition's `stores`. Call it while building.
   * Errors: WEIR_STORE_UNDECLARED when it is not named there.
   */
  store<V>(name: string, codec: StoreCodec<V>): Store<V>
}

export interface SinkContext extends StageContext, Rejecting {
  readonly time: StreamTime
  readonly http: HttpServer
  /**
   * Declares a store of this stage, named by its definition's `stores`. Call it while building.
   * Errors: WEIR_STORE_UNDECLARED when it is not named there.
   */
  store<V>(name: string, codec: StoreCodec<V>): Store<V>
  /** Keeps the views of this stage: its connection does, or every process in its memory. */
  readonly views: ViewStorage
  /** The transaction of the running epoch, when this connection keeps the flow's checkpoints; else undefined. */
  transaction(connection: Connection): EpochTransaction | undefined
  /** What the task of this flow has committed that reads a topic; undefined where nothing is kept. */
  readonly held?: ((topic: string) => Observable<readonly HeldPartition[]>) | undefined
  /** Whether there is such a transaction in every epoch. */
  readonly joins?: boolean
  /** Whether the records of an epoch that failed come again: every source of the flow can be read again. */
  readonly replays?: boolean
  /** The folder for what the process keeps on disk. */
  readonly dataDirectory: string
  /** The partitions that go to another task behind the running epoch: all of them when this one ends. */
  readonly leaving?: () => readonly TopicPartition[]
  /** Emits when the task has something else to do than to wait for this epoch, at once if it has already. */
  readonly interrupted$?: Observable<unknown>
  /** Tells those who watch of one of the things that it `makes`, as a row that a table can show. */
  readonly made?: (row: Readonly<Record<string, unknown>>) => void
}

/** A sink at work in a task. */
export interface SinkTask<V = unknown> {
  /** As that of a source: what outlives the restarts of the task, such as a route. */
  readonly lifetime$?: Observable<never>
  /** Completes when the sink can be written to: connected, tables created. */
  open?(): Observable<never>
  /** Subscribed once an epoch. Completes only when all that was written is acknowledged. */
  write(records$: Observable<StreamRecord<V>>): Observable<unknown>
  /**
   * The offset of the first record of a partition that it has taken in, and that is not durable yet although an epoch is over;
   * undefined where there is none. Asked at each commit: the position is held back there, so that the record comes again to
   * whoever has the partition next, and all behind it.
   */
  holds?(partition: TopicPartition): number | undefined
  /** Why nothing can be written at the moment, while the sink goes on trying: the flow is not ready then. */
  trouble?(): WeirError | undefined
  /** What its metrics are at the moment. Asked at any time, and often. */
  metrics?(): readonly MetricReading[]
  /** Subscribed after each commit, and awaited. It must not fail: nothing can undo the commit. */
  committed?(): Observable<never>
  close?(): Observable<never>
}

interface Definition<Schema extends z.ZodType> {
  readonly name: string
  /** One line, for lists and graphs. */
  readonly summary: string
  /** The kind of connection it needs; options may then have a field `connection` that names one. */
  readonly connection?: string
  /** Every field has a description. */
  readonly options: Schema
  /** What a stage of this kind is about, for graphs: a topic, a table. */
  detail?(options: z.output<Schema>): string
  /** What can be run, and is hardly meant: each as the end of a sentence about the stage, and what to do about it. */
  warnings?(options: z.output<Schema>): readonly { readonly message: string; readonly hint: string }[]
}

export interface SourceDefinition<Schema extends z.ZodType = z.ZodType> extends Definition<Schema> {
  readonly kind: 'source'
  /** Whether it can go back to an earlier position, and so survive a crash. */
  readonly replayable: boolean
  /**
   * Where its positions outlive the process: with its consumer group, or nowhere but in the checkpoint store, so that the
   * flow needs one. Default `group`, which is also for a source that has none to keep.
   */
  readonly positions?: 'group' | 'store'
  /** What becomes of what it reads and can't take, unless the option `onError` says otherwise. Default `fail`. */
  readonly onError?: RejectionPolicy
  /** The epochs that suit it, where they differ from the usual ones. */
  readonly epoch?: EpochOptions
  /** The stores that the stage of this name keeps, of a source that has its positions in the checkpoint store. */
  stores?(options: z.output<Schema>, stage: string): readonly string[]
  /** The partitioned topics it reads. */
  reads?(options: z.output<Schema>): TopicsRead
  /** By which way records come, of several; `connection` has the options of its connection. */
  way?(options: z.output<Schema>, connection: unknown): SourceWay
  /** The routes of the port that it serves: `POST /orders`. */
  serves?(options: z.output<Schema>): readonly string[]
  build(options: z.output<Schema>, context: SourceContext): SourceTask
}

/** The way of records to a source. */
export interface SourceWay {
  readonly name: string
  /** Goes on 'because …'. */
  readonly because: string
  /** Why it can't be the one that was asked for, as the end of a sentence about the stage, and what to do about it. */
  readonly fault?: { readonly message: string; readonly hint: string } | undefined
}

export interface OperatorDefinition<Schema extends z.ZodType = z.ZodType> extends Definition<Schema> {
  readonly kind: 'operator'
  /** What becomes of a record it rejects, unless the option `onError` says otherwise. Default `fail`. */
  readonly onError?: RejectionPolicy
  /** The same of one that it rejects as late. */
  late?(options: z.output<Schema>): RejectionPolicy
  /** The stores it keeps, known without building it. */
  stores?(options: z.output<Schema>): readonly string[]
  /** Whether its results need all partitions of the source in one place. */
  readonly global?: boolean
  /** How a global operator is spread over tasks where its source can be. */
  readonly spread?: Spread<z.output<Schema>>
  /** Whether it gives records another key. */
  readonly rekeys?: boolean
  /** Its options as they are declared, where a stage before it gives records another key. */
  behindKey?(declared: object): object
  /** Whether it says what time records have: one such stage at the most is on the way of each. */
  readonly times?: boolean
  /** Whether it goes by the time of records, which is then the source's timestamps where no stage says another. */
  timed?(options: z.output<Schema>): boolean
  /** The metrics that it tells (`OperatorContext.measures`). */
  readonly metrics?: readonly StageMetric[]
  /** Whether records of one partition may leave it in another order than they came in. */
  reorders?(options: z.output<Schema>): boolean
  build: BuildOperator<z.output<Schema>>
}

type BuildOperator<Options> = (
  options: Options,
  context: OperatorContext,
) => OperatorFunction<StreamRecord, StreamRecord> | MonoTypeOperatorFunction<StreamRecord>

/** A global operator in parts: what it makes of each source partition is merged by the key of its group. */
export interface Spread<Options> {
  /** What the groups are: all records one, those of a record key one, or anything else. */
  groups(options: Options): 'single' | 'record-key' | 'other'
  /** Whether records of a record key have to meet as they are, and not as partial results. */
  uncombined?(options: Options): boolean
  /** All of it, for one partition: for groups that lie in one partition already. */
  readonly alone: BuildOperator<Options>
  /** The same behind an internal topic that brought the records of each key, and those without one, into one partition. */
  readonly met: BuildOperator<Options>
  /** Emits partial results, each under the key of its group, as a `PartialResult`. */
  readonly combine: BuildOperator<Options>
  /** Takes the partial results of all source partitions. */
  readonly merge: BuildOperator<Options>
}

export interface SinkDefinition<Schema extends z.ZodType = z.ZodType> extends Definition<Schema> {
  readonly kind: 'sink'
  /** What becomes of a record that can't be written, unless the option `onError` says otherwise. Default `fail`. */
  readonly onError?: RejectionPolicy
  /** The same where no connection takes dead letters. Without it a configuration that has none is refused. */
  readonly onErrorAlone?: RejectionPolicy
  /** What it promises; `joins` is whether it writes in the transaction that keeps the flow's checkpoints. */
  guarantee(options: z.output<Schema>, joins: boolean): Guarantee
  /**
   * Whether it writes in the transaction of the checkpoint store when that is on the same connection: always, or where
   * the flow asks for `exactly-once`, because its results are then seen later.
   */
  readonly transactional?: boolean | 'on-request'
  /** The stores it keeps, known without building it. */
  stores?(options: z.output<Schema>): readonly string[]
  /**
   * Whether it holds positions back beyond an epoch (see `SinkTask.holds`): records come again that other stages have taken
   * in and committed, so that it may share its flow with none that would mind.
   */
  readonly holds?: boolean
  /** The connection (or the kind of the only one) that keeps its views, or `memory`. */
  keepsViewsIn?(options: z.output<Schema>): string
  /** The topic that it writes to, where that is one. */
  writes?(options: z.output<Schema>): string | undefined
  /** The routes of the port that it serves: `GET /stats`. */
  serves?(options: z.output<Schema>): readonly string[]
  /** The metrics that its tasks tell. */
  readonly metrics?: readonly StageMetric[]
  /** What it makes, in the plural, where that is not a row of each record: `files`. It tells of each (`SinkContext.made`). */
  readonly makes?: string
  /** Commands for a shell that show what it has written, and lines about them that begin with `#`. */
  shows?(options: z.output<Schema>): readonly string[]
  build(options: z.output<Schema>, context: SinkContext): SinkTask
}

/** How long an epoch lasts: whichever limit is reached first ends it. */
export interface EpochOptions {
  readonly maxRecords?: number
  readonly maxBytes?: number
  readonly everyMs?: number
  /** How long its first record waits for others, once there is nothing more to read. Without it, until one of the above is reached. */
  readonly lingerMs?: number
}

interface Declared<D> {
  readonly definition: D
  readonly options: unknown
  /** Where the user's code declared it, for error texts. */
  readonly declaredAt: Error
}

declare const flowing: unique symbol

/** A stage that produces records of `Out`. */
export interface Source<out Out> extends Declared<SourceDefinition> {
  readonly [flowing]?: () => Out
}

/** A stage that takes records of `In` and produces records of `Out`. */
export interface Operator<in In, out Out> extends Declared<OperatorDefinition> {
  readonly [flowing]?: (value: In) => Out
}

/** A stage that takes records of `In` out of the flow. */
export interface Sink<in In> extends Declared<SinkDefinition> {
  readonly [flowing]?: (value: In) => void
}

export type Stage = Source<unknown> | Operator<never, unknown> | Sink<never>

/** A definition, and the untyped function that declares a stage of it; factories for users add the types. */
export type Defined<D, S> = D & { declare(options: unknown): S }

/** Defines a source. */
export function defineSource<Schema extends z.ZodType>(definition: Omit<SourceDefinition<Schema>, 'kind'>) {
  return defined<SourceDefinition<Schema>, Source<never>>({ ...definition, kind: 'source' })
}

/** Defines an operator. */
export function defineOperator<Schema extends z.ZodType>(definition: Omit<OperatorDefinition<Schema>, 'kind'>) {
  return defined<OperatorDefinition<Schema>, Operator<unknown, never>>({ ...definition, kind: 'operator' })
}

/** Defines a sink. */
export function defineSink<Schema extends z.ZodType>(definition: Omit<SinkDefinition<Schema>, 'kind'>) {
  return defined<SinkDefinition<Schema>, Sink<unknown>>({ ...definition, kind: 'sink' })
}

function defined<D, S>(definition: D): Defined<D, S> {
  const declare = (options: unknown) => ({ definition, options, declaredAt: new Error('declared here') }) as S
  return { ...definition, declare }
}

/** A function in a stage's options. */
/** @param mayWait Whether what it returns is awaited; a function that is async anywhere else can only be a mistake. */
export function fn<F extends (...args: never[]) => unknown>({ mayWait = false } = {}) {
  return z
    .custom<F>((value) => typeof value === 'function', 'expected a function')
    .refine(
      (value) => mayWait || !isAsync(value),
      'expected a function that answers at once, for nobody awaits it here; mapAsync does, before this stage',
    )
}

function isAsync(value: unknown): boolean {
  return /^\[object Async(Generator)?Function\]$/.test(Object.prototype.toString.call(value))
}
