import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  endWith,
  finalize,
  forkJoin,
  from,
  ignoreElements,
  lastValueFrom,
  map,
  mergeMap,
  NEVER,
  type Observable,
  of,
  race,
  Subject,
  takeUntil,
  tap,
  timeout,
  timer,
} from 'rxjs'
import type {
  CheckpointStore,
  Clock,
  Connection,
  ConnectionContext,
  HeldPartition,
  HttpServer,
  Logger,
} from '../model/index.js'
import { messageOf, WeirError } from '../model/index.js'
import { MemoryCheckpoints, TaskStores } from '../state/index.js'
import { isCombining } from './cut.js'
import { EventTime, type TimeScope } from './event-time.js'
import { forgottenOf, readBy } from './forgotten.js'
import { Inheritance } from './inheritance.js'
import { Inputs } from './inputs.js'
import { buildPipeline } from './pipeline.js'
import { Rejections } from './rejections.js'
import { RunningFlow } from './running-flow.js'
import { StageContexts } from './stage-contexts.js'
import { type KeptState, leavesNothing } from './state-plan.js'
import type { FlowStatus, Observer } from './status.js'
import { FlowTask, type TaskParts } from './task.js'
import {
  type FlowTopology,
  operatorsOf,
  type SubTopology,
  sinksOf,
  stagesOf,
  type Topology,
  writesDeadLetters,
} from './topology.js'
import { ViewPlaces } from './view-places.js'

export interface EngineParts {
  readonly clock: Clock
  readonly log: Logger
  readonly http: HttpServer
  /** Refuses embedded servers. */
  readonly production: boolean
  /** Where embedded servers may keep files. */
  readonly dataDirectory: string
  /** The lasting name of this process in consumer groups, where it has one. */
  readonly instance?: string | undefined
  readonly observer?: Observer
  /** Whether it goes on when all have ended and some have failed, for a reload may mend them. Default: it ends. */
  readonly waitsForMends?: boolean
  /** Keeps checkpoints in place of what the topology names: tests let them outlive an engine. */
  readonly checkpoints?: CheckpointStore
}

/** What is left alone when flows are replaced, by name. */
interface GoingOn {
  readonly flows: ReadonlySet<string>
  /** All that flows which go on have to do with are among them. */
  readonly connections: ReadonlySet<string>
  /** How long the others may take to drain. */
  readonly drainMs: number
}

/** How long a connection may take to close, ms. */
const closeMs = 5_000

/** How long a flow without state waits to hear whether it had some, ms. */
const lookMs = 5_000

/** Runs the flows of a topology in this process, each as a task of its own. */
export class Engine {
  /** The stores of each task, and what keeps them. */
  readonly kept: KeptState[] = []
  private readonly opened = new Map<string, Connection>()
  /** When each was opened, as the clock tells. */
  private readonly openedAt = new Map<string, number>()
  private flows: readonly RunningFlow[]
  /** Flows that have come since it runs; completes when no more can come. */
  private readonly coming = new Subject<RunningFlow>()
  private isStopping = false
  private isReplacing = false
  private readonly checkpoints = new Map<string, CheckpointStore>()
  private readonly views: ViewPlaces

  /** Builds every stage. Errors: WEIR_CONFIG_EMBEDDED and whatever a stage finds wrong when it is built. */
  constructor(
    private topology: Topology,
    private readonly parts: EngineParts,
  ) {
    this.views = new ViewPlaces(parts.log, {
      declared: (name) => this.topology.connections.get(name),
      connection: (name) => this.connection(name),
      context: (name) => this.connectionContext(name),
    })
    this.flows = topology.flows.map((flow) => this.flow(flow))
  }

  /**
   * Runs all flows while subscribed. A flow that fails stops, is logged, and the others go on; completes when all
   * have stopped.
   */
  run(): Observable<never> {
    return defer(() => {
      const running$ = concat(from(this.flows), this.coming).pipe(
        mergeMap((flow) => flow.run().pipe(endWith(flow)), Number.POSITIVE_INFINITY),
        tap(() => this.endAfterTheLast()),
        ignoreElements(),
      )
      this.endAfterTheLast()
      return running$
    })
  }

  /** Lets every flow drain and commit, then ends it. */
  stop(): void {
    this.isStopping = true
    for (const flow of this.flows) flow.stop()
    this.endAfterTheLast()
  }

  /**
   * Goes over to another topology of the same app, while it runs: the flows and connections that are said to go on are left
   * alone, whatever `next` has in their place. All others drain, commit and end first, as at a stop; what has not drained
   * after `drainMs` is dropped, and read again. Emits when those of `next` have begun, and completes; completes without once
   * it stops. Errors: what a stage finds wrong when it is built; nothing runs in place of the flows that have ended then.
   */
  replace(next: Topology, { flows, connections, drainMs }: GoingOn): Observable<true> {
    return defer(() => {
      if (this.isStopping) return EMPTY
      this.isReplacing = true
      const leaving = this.flows.filter(({ name }) => !flows.has(name))
      return concat(
        this.drain(leaving, drainMs),
        defer(() => this.closeAllBut(connections)),
        defer(() => {
          if (this.isStopping) return EMPTY
          this.take(next, flows, connections)
          return of<true>(true)
        }),
      )
    }).pipe(
      finalize(() => {
        this.isReplacing = false
        this.endAfterTheLast()
      }),
    )
  }

  status(): readonly FlowStatus[] {
    return this.flows.map((flow) => flow.status())
  }

  /** Closes what the flows shared, once they have ended. */
  async close(): Promise<void> {
    await lastValueFrom(this.views.close(), { defaultValue: undefined })
    for (const connection of [...this.opened.values()].reverse()) await connection.close()
    this.opened.clear()
  }

  /** The opened connection of that name. */
  connection(name: string): Connection {
    const known = this.opened.get(name)
    if (known !== undefined) return known
    const { definition, options } = this.declared(name)
    const connection = definition.open(options, this.connectionContext(name))
    this.opened.set(name, connection)
    this.openedAt.set(name, this.parts.clock.now())
    return connection
  }

  /** Nothing comes any more once all flows have ended: a reload that is under way may bring others. */
  private endAfterTheLast(): void {
    if (this.isReplacing || this.flows.some(({ hasEnded }) => !hasEnded)) return
    const mayBeMended = this.parts.waitsForMends === true && this.status().some(({ state }) => state === 'failed')
    if (this.isStopping || !mayBeMended) this.coming.complete()
  }

  private drain(leaving: readonly RunningFlow[], drainMs: number): Observable<never> {
    for (const flow of leaving) flow.stop()
    const { clock, log } = this.parts
    const overdue$ = timer(drainMs, clock.scheduler).pipe(
      tap(() => {
        for (const flow of leaving.filter(({ hasEnded }) => !hasEnded)) {
          log.error({ flow: flow.name }, 'it did not drain in time; what was not committed is replayed')
          flow.drop()
        }
      }),
      // What it holds is to be free for who comes in its place.
      concatMap(() => timer(closeMs, clock.scheduler)),
      ignoreElements(),
    )
    const ended$ = forkJoin(leaving.map(({ ended$ }) => ended$.pipe(endWith(true))))
    return overdue$.pipe(takeUntil(leaving.length === 0 ? of(true) : ended$))
  }

  private closeAllBut(goingOn: ReadonlySet<string>): Observable<never> {
    const leaving = [...this.opened].filter(([name]) => !goingOn.has(name)).reverse()
    return from(leaving).pipe(
      concatMap(([name, connection]) => {
        this.opened.delete(name)
        this.checkpoints.delete(name)
        const closed$ = concat(
          this.views.leave(name),
          defer(() => connection.close()),
        )
        return race(closed$, timer(closeMs, this.parts.clock.scheduler)).pipe(
          catchError((error: unknown) => {
            this.parts.log.warn({ connection: name }, `closing: ${messageOf(error)}`)
            return EMPTY
          }),
        )
      }),
      ignoreElements(),
    )
  }

  private take(next: Topology, flows: ReadonlySet<string>, connections: ReadonlySet<string>): void {
    const { topology: before, flows: running } = this
    const own = new Map(before.flows.map((flow) => [flow.name, flow]))
    this.topology = {
      ...next,
      flows: next.flows.map((flow) => (flows.has(flow.name) ? (own.get(flow.name) ?? flow) : flow)),
      connections: new Map(
        [...next.connections].map(([name, one]) => [
          name,
          connections.has(name) ? (before.connections.get(name) ?? one) : one,
        ]),
      ),
    }
    this.kept.splice(0, this.kept.length, ...this.kept.filter(({ flow }) => flows.has(flow)))
    const fresh = new Set<RunningFlow>()
    this.flows = this.topology.flows.map((flow) => {
      const goesOn = flows.has(flow.name) ? running.find(({ name }) => name === flow.name) : undefined
      if (goesOn !== undefined) return goesOn
      const begun = this.flow(flow)
      fresh.add(begun)
      return begun
    })
    for (const flow of fresh) this.coming.next(flow)
  }

  private flow(flow: FlowTopology): RunningFlow {
    return new RunningFlow(
      flow.name,
      flow.parts.map((part) => this.task(flow, part)),
    )
  }

  private task(flow: FlowTopology, part: SubTopology): FlowTask {
    const { clock, http, instance, observer = {}, dataDirectory } = this.parts
    const log = this.parts.log.child({ flow: flow.name })
    const stores = new TaskStores(flow.givesUp)
    const time = new EventTime(clock, timeScopesOf(part), new Inputs(part.inputs.length))
    const rejections = new Rejections(flow.name, log, observer, this.deadLetters(flow, part))
    const checkpoints = part.checkpointed ? this.checkpointStore(flow.checkpoints) : undefined
    // The contexts need the task's transactions, and the task its pipeline.
    const holder: { task?: FlowTask } = {}
    const contexts = new StageContexts(flow.name, part.summary, {
      app: this.topology.app,
      clock,
      log,
      http,
      instance,
      observer,
      keeps: part.keeps,
      connection: (name) => this.connection(name),
      stores,
      time,
      rejections,
      transaction: (connection) =>
        connection === this.opened.get(flow.checkpoints) ? holder.task?.transaction : undefined,
      dataDirectory,
      leaving: () => holder.task?.leaving() ?? [],
      interrupted$: defer(() => holder.task?.interrupted$ ?? NEVER),
      held: checkpoints && ((topic) => this.held(topic, checkpoints)),
      views: (sink) => this.views.of(sink, part),
      joins: flow.joins,
      replays: part.inputs.every(({ source }) => source.definition.replayable),
    })
    const pipeline = buildPipeline(part, contexts)
    rejections.tell(pipeline.sources)
    const name = this.taskName(part, flow.checkpoints)
    this.kept.push({ flow: flow.name, task: name, where: flow.checkpoints, part, stores })
    const heldOf = checkpoints && isCombined(part) ? () => this.heldOf(name, checkpoints) : undefined
    const inheritance = new Inheritance(heldOf, readBy(part)?.[0])
    holder.task = new FlowTask({
      name,
      flow,
      part,
      pipeline,
      contexts,
      stores,
      time,
      rejections,
      checkpoints,
      inheritance,
      claims$:
        checkpoints === undefined
          ? this.leftovers(flow, part)
          : this.claims(flow, name, checkpoints, { inheritance, time }),
      clock,
      log,
      observer,
    })
    return holder.task
  }

  /** The state of a flow is looked for by its first task that keeps any; that of a volatile one ended with its process. */
  private claims(
    flow: FlowTopology,
    task: string,
    checkpoints: CheckpointStore,
    { inheritance, time }: Pick<TaskParts, 'inheritance' | 'time'>,
  ): Observable<never> {
    const kept = { flow: flow.name, where: flow.checkpoints }
    return defer(() => {
      const first = flow.parts.find(({ checkpointed }) => checkpointed)
      const isFirst = first !== undefined && task === `${this.topology.app}.${first.name}`
      const told = (held: readonly HeldPartition[]) => {
        this.tellForgotten(flow, held)
        const own = this.kept.find((one) => one.task === task)
        if (own === undefined) return
        inheritance.leave(forgottenOf(held, own).map(({ topic }) => topic))
        if (held.some((one) => one.task === task && one.progress !== undefined)) time.goesOn()
      }
      return isFirst ? leavesNothing(checkpoints, this.topology, this.kept, kept, told) : EMPTY
    })
  }

  /** What the task that reads an internal topic has committed of it. */
  private held(topic: string, checkpoints: CheckpointStore): Observable<readonly HeldPartition[]> {
    const reads = ({ part }: KeptState) =>
      part.inputs.some(({ source }) => (source.options as { topic?: unknown }).topic === topic)
    const reader = this.kept.find(reads)?.task
    return this.heldOf(reader, checkpoints).pipe(map((all) => all.filter((one) => one.topic === topic)))
  }

  private heldOf(task: string | undefined, checkpoints: CheckpointStore): Observable<readonly HeldPartition[]> {
    return checkpoints.list(this.topology.app).pipe(map((all) => all.filter((one) => one.task === task)))
  }

  private tellForgotten({ name: flow }: FlowTopology, held: readonly HeldPartition[]): void {
    const { log, observer } = this.parts
    for (const state of this.kept.filter((one) => one.flow === flow && one.part.checkpointed)) {
      for (const { topic, partitions } of forgottenOf(held, state)) {
        log.warn(
          { flow, topic, partitions },
          `topic '${topic}' is read no longer: nobody waits for it, and what it brought stays`,
        )
        observer?.topic?.({ flow, topic, change: 'forgotten' })
      }
    }
  }

  /**
   * A flow that keeps no state may have kept some before, which is refused as any that it would leave behind. It needs its
   * checkpoint store for nothing else, and does not wait for one that does not answer.
   */
  private leftovers(flow: FlowTopology, part: SubTopology): Observable<never> {
    const { checkpoints: where, parts, name } = flow
    if (where === 'memory' || part !== parts[0] || parts.some(({ checkpointed }) => checkpointed)) return EMPTY
    const { definition, options } = this.declared(where)
    if (definition.isEmbedded?.(options)) return EMPTY
    return defer(() => {
      const checkpoints = this.checkpointStore(where)
      return concat(checkpoints.open(), leavesNothing(checkpoints, this.topology, this.kept, { flow: name, where }))
    }).pipe(
      timeout({ first: lookMs, scheduler: this.parts.clock.scheduler }),
      catchError((error: unknown) => {
        if (error instanceof WeirError && error.code === 'WEIR_CHECKPOINT_UNKNOWN_STORE') throw error
        const { log } = this.parts
        log.warn(
          { flow: name },
          `whether ${where} keeps state of earlier stages could not be looked at: ${messageOf(error)}`,
        )
        return EMPTY
      }),
    )
  }

  /**
   * An embedded broker begins anew with its connection, and so must the checkpoints of what reads it. Those of a source
   * that has its positions nowhere else say what was written, and must not outlive it.
   */
  private taskName(part: SubTopology, checkpoints: string): string {
    const { name, inputs } = part
    const isEmbedded = ({ connection: name }: { readonly connection: string | undefined }) => {
      const connection = name === undefined ? undefined : this.topology.connections.get(name)
      return connection?.definition.isEmbedded?.(connection.options) ?? false
    }
    const lost = [
      ...inputs.map(({ source }) => source),
      ...(inputs.some(({ source }) => source.definition.positions === 'store')
        ? [...sinksOf(part)].filter((sink) => sink.connection !== checkpoints)
        : []),
    ].filter(isEmbedded)
    const began = lost.map(({ connection }) => this.beginningOf(connection ?? ''))
    return `${this.topology.app}.${name}${began.length > 0 ? `.${Math.max(...began)}` : ''}`
  }

  /** When an embedded server began anew. */
  private beginningOf(name: string): number {
    this.connection(name)
    return this.openedAt.get(name) ?? this.parts.clock.now()
  }

  /** What keeps checkpoints under that name. It connects to nothing before it is opened. */
  checkpointStore(name: string): CheckpointStore {
    const known = this.checkpoints.get(name)
    if (known !== undefined) return known
    const store = this.parts.checkpoints ?? this.openCheckpoints(name)
    this.checkpoints.set(name, store)
    return store
  }

  private openCheckpoints(name: string): CheckpointStore {
    if (name === 'memory') return new MemoryCheckpoints()
    const store = this.declared(name).definition.checkpoints?.(this.connection(name), this.connectionContext(name))
    if (store === undefined)
      throw new WeirError('WEIR_CONFIG_CONNECTION', `opening checkpoints: '${name}' can't keep them`)
    return store
  }

  private deadLetters({ deadLetters }: FlowTopology, part: SubTopology) {
    const writes = stagesOf(part).some(writesDeadLetters)
    if (deadLetters === undefined || !writes) return undefined
    const { connection, name } = deadLetters
    return this.declared(connection).definition.deadLetters?.(
      this.connection(connection),
      name,
      this.connectionContext(connection),
    )
  }

  private declared(name: string) {
    const connection = this.topology.connections.get(name)
    if (connection !== undefined) return connection
    throw new WeirError('WEIR_CONFIG_CONNECTION', `opening connection '${name}': it is not declared`)
  }

  private connectionContext(name: string): ConnectionContext {
    const { clock, production, dataDirectory } = this.parts
    return {
      app: this.topology.app,
      name,
      clock,
      production,
      dataDirectory,
      log: this.parts.log.child({ connection: name }),
    }
  }
}

/** Whether it combines records before they go over an internal topic: of open windows it has what others do not. */
function isCombined(part: SubTopology): boolean {
  return [...operatorsOf(part)].some(({ definition }) => isCombining(definition))
}

/** An input whose own stages take all partitions goes by the watermark of the task, whatever those beside it do. */
function timeScopesOf({ inputs, timeScope }: SubTopology): readonly TimeScope[] {
  return inputs.map(({ stages }) => (stages.some(({ definition }) => definition.global === true) ? 'task' : timeScope))
}
