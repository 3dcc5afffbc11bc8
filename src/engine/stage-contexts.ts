import type { MonoTypeOperatorFunction, Observable } from 'rxjs'
import type {
  Clock,
  Connection,
  EpochTransaction,
  HeldPartition,
  HttpServer,
  Keeps,
  Logger,
  MetricReading,
  SinkContext,
  SourceContext,
  StageContext,
  StreamRecord,
  TopicPartition,
  ViewStorage,
} from '../model/index.js'
import { WeirError } from '../model/index.js'
import { type TaskStores, tagged } from '../state/index.js'
import { EpochTracer } from './epoch-trace.js'
import type { EventTime } from './event-time.js'
import { KeepTrial } from './keep-trial.js'
import type { Rejections } from './rejections.js'
import type { RetryContext } from './retry/joint.js'
import type { Observer, StageCounts, StageReading } from './status.js'
import {
  type OperatorNode,
  policyFor,
  type SinkNode,
  type SourceNode,
  type StageSummary,
  storesOf,
} from './topology.js'

type Watch = (record: StreamRecord) => void

/** What the stages of one flow share. */
export interface Surroundings {
  readonly app: string
  readonly clock: Clock
  readonly log: Logger
  readonly http: HttpServer
  readonly instance: string | undefined
  readonly observer: Observer
  readonly keeps: Keeps
  readonly connection: (name: string) => Connection
  readonly stores: TaskStores
  readonly time: EventTime
  readonly rejections: Rejections
  /** The running epoch's transaction, when it is one of that connection. */
  readonly transaction: (connection: Connection) => EpochTransaction | undefined
  readonly dataDirectory: string
  /** See `SinkContext`. */
  readonly leaving: () => readonly TopicPartition[]
  readonly interrupted$: Observable<unknown>
  /** What the task of this flow has committed that reads a topic. */
  readonly held: ((topic: string) => Observable<readonly HeldPartition[]>) | undefined
  /** Keeps the views of a sink. */
  readonly views: (sink: SinkNode) => ViewStorage
  /** The sinks that write in that transaction. */
  readonly joins: readonly SinkNode[]
  /** Whether the records of an epoch that failed come again. */
  readonly replays: boolean
}

/** Makes what each stage of a flow is given to work with. */
export class StageContexts {
  readonly all: readonly StageCounts[]
  /** Where the observer wants to hear how long stages take. */
  readonly tracer: EpochTracer | undefined
  private readonly nowhere: StageCounts = { stage: '', kind: 'operator', in: 0, out: 0, rejected: 0 }
  private readonly reached = new Map<string, StreamRecord>()
  private readonly sinks: { readonly counts: StageCounts; before: number }[]
  private readonly byName: ReadonlyMap<string, StageCounts>
  private readonly trials = new Map<OperatorNode | SinkNode, KeepTrial>()
  private readonly measured: { readonly stage: string; readonly readings: () => readonly MetricReading[] }[] = []

  constructor(
    private readonly flow: string,
    summary: readonly StageSummary[],
    private readonly around: Surroundings,
  ) {
    this.all = summary.map(({ name, kind }) => ({ stage: name, kind, in: 0, out: 0, rejected: 0 }))
    this.byName = new Map(this.all.map((counts) => [counts.stage, counts]))
    this.sinks = this.all.filter(({ kind }) => kind === 'sink').map((counts) => ({ counts, before: 0 }))
    const { observer, clock } = around
    this.tracer = observer.trace && new EpochTracer(flow, this.all, clock, (traced) => void observer.trace?.(traced))
  }

  /** The counts of a stage; without a name, counts that nobody reads. */
  counts(stage: string | undefined): StageCounts {
    return (stage === undefined ? undefined : this.byName.get(stage)) ?? this.nowhere
  }

  /** What the metrics of operators are at the moment. */
  readings(): readonly StageReading[] {
    return this.measured.flatMap(({ stage, readings }) => readings().map((reading) => ({ stage, ...reading })))
  }

  /** Sees what passes between two stages, where somebody has to. */
  passing(): Watch | undefined {
    return this.around.rejections.retries?.watch()
  }

  /** Keeps records from a stage that was built with its context, where its stores can't hold what it makes of them. */
  sieve(node: OperatorNode | SinkNode): MonoTypeOperatorFunction<StreamRecord> | undefined {
    const trial = this.trials.get(node)
    return trial?.isNeeded === true ? trial.sieve : undefined
  }

  /** Remembers the last record that reaches a sink of the flow's own, when the observer wants to see what is written. */
  watch({ name, definition }: SinkNode): Watch | undefined {
    if (this.around.observer.written === undefined || this.counts(name).kind !== 'sink') return undefined
    if (definition.makes !== undefined) return undefined
    return (record) => this.reached.set(name, record)
  }

  /** An epoch begins. */
  begin(): void {
    for (const sink of this.sinks) sink.before = sink.counts.in
    this.reached.clear()
    this.tracer?.begin()
  }

  /** Whether anything has reached a sink in this epoch. */
  hasWritten(): boolean {
    return this.sinks.some(({ counts, before }) => counts.in > before)
  }

  /** An epoch was committed: what reached the sinks is out. Tells the observer the last record of each. */
  committed(): void {
    for (const { counts, before } of this.sinks) counts.out += counts.in - before
    for (const trial of this.trials.values()) trial.forget()
    for (const [stage, { value }] of this.reached) this.around.observer.written?.({ flow: this.flow, stage, value })
    this.reached.clear()
  }

  /** An epoch has failed. */
  failed({ atOnce }: WeirError): void {
    if (!atOnce) for (const trial of this.trials.values()) trial.forget()
  }

  source(node: SourceNode): SourceContext {
    const { http, instance, stores, keeps, observer } = this.around
    // Two sources of one process may be members of one group: under one name they would drive each other out.
    const member = instance && `${instance}.${this.flow}.${node.name}`.replace(/[^\w.-]/g, '_')
    return {
      ...this.common(node),
      http,
      instance: member,
      keeps,
      noticed: (change) => observer.topic?.({ ...change, flow: this.flow }),
      store: (name, codec) => stores.declare(declared(node, name, this.flow), codec),
      reject: this.rejecting(node),
    }
  }

  /** Of a stage on the way of one input, or behind all of them. */
  operator(node: OperatorNode, input?: number): RetryContext {
    const { rejections } = this.around
    const trial = this.trial(node)
    const time = input === undefined ? this.around.time : this.around.time.ofInput(input)
    const counts = this.counts(node.name)
    return {
      ...this.common(node),
      time,
      rejections,
      skipped: () => {
        counts.skipped = (counts.skipped ?? 0) + 1
      },
      keepable: (value) => void tagged(value),
      measures: (readings) => void this.measured.push({ stage: node.name, readings }),
      store: (name, codec, bounds) => trial.declare(declared(node, name, this.flow), codec, bounds),
      reject: this.rejecting(node),
    }
  }

  sink(node: SinkNode): SinkContext {
    const { time, http, views, replays, held, leaving, interrupted$, dataDirectory } = this.around
    const joins = this.around.joins.includes(node)
    const trial = this.trial(node)
    return {
      ...this.common(node),
      time,
      http,
      transaction: joins ? this.around.transaction : () => undefined,
      joins,
      replays,
      held,
      dataDirectory,
      leaving,
      interrupted$,
      made: (value) => this.around.observer.written?.({ flow: this.flow, stage: node.name, value }),
      store: (name, codec) => trial.declare(declared(node, name, this.flow), codec),
      get views() {
        return views(node)
      },
      reject: this.rejecting(node),
    }
  }

  private trial(node: OperatorNode | SinkNode): KeepTrial {
    const trial = new KeepTrial(node.name, this.around.stores, this.rejecting(node))
    this.trials.set(node, trial)
    return trial
  }

  private rejecting(node: SourceNode | OperatorNode | SinkNode): (record: StreamRecord, error: unknown) => void {
    const counts = this.counts(node.name)
    const { partOf = node.name } = node
    const { rejections } = this.around
    return (record, error) => {
      if (node.retry !== undefined) return rejections.retry(node.retry, { counts, record, error, stage: partOf })
      rejections.reject(counts, policyFor(node, error), record, error, partOf)
    }
  }

  private common(node: SourceNode | OperatorNode | SinkNode): StageContext {
    const { app, clock, log, connection } = this.around
    return {
      app,
      flow: this.flow,
      stage: node.name,
      clock,
      log: log.child({ stage: node.name }),
      connection: <C extends Connection>(kind: string) => {
        if (node.connection !== undefined) return connection(node.connection) as C
        throw new WeirError(
          'WEIR_CONFIG_CONNECTION',
          `building stage '${node.name}': it declares no ${kind} connection`,
          {
            flow: this.flow,
            stage: node.name,
          },
        )
      },
    }
  }
}

/** The name of a store, if its stage's definition tells of it: a flow is checkpointed for the stores that are told of. */
function declared(node: SourceNode | OperatorNode | SinkNode, store: string, flow: string): string {
  const names = storesOf(node)
  if (names.includes(store)) return store
  const { name: stage, definition } = node
  const told = names.length === 0 ? 'no stores' : `only ${names.map((name) => `'${name}'`).join(' and ')}`
  throw new WeirError(
    'WEIR_STORE_UNDECLARED',
    `building stage '${stage}': it keeps the store '${store}', and the definition of '${definition.name}' tells of ${told}`,
    {
      flow,
      stage,
      hint: `Add stores: () => ['${store}'] to the definition: state that is not told of may not be kept.`,
    },
  )
}
