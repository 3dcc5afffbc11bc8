import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  merge,
  mergeAll,
  mergeMap,
  NEVER,
  Observable,
  of,
  queueScheduler,
  race,
  repeat,
  retry,
  Subject,
  scheduled,
  take,
  takeUntil,
  takeWhile,
  tap,
  throwError,
  timer,
} from 'rxjs'
import {
  type AcquiredPartition,
  type Assigned,
  type AssignmentChange,
  asWeirError,
  type CheckpointStore,
  type Clock,
  describeError,
  type EpochTransaction,
  isSamePartition,
  type Logger,
  type Position,
  partitionName,
  type Revoked,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { TaskStores } from '../state/index.js'
import { Assignment } from './assignment.js'
import { EpochBudget } from './epoch.js'
import type { EventTime } from './event-time.js'
import { marked } from './forgotten.js'
import type { Inheritance } from './inheritance.js'
import { PartitionEnds } from './partition-ends.js'
import type { Pipeline } from './pipeline.js'
import type { Rejections } from './rejections.js'
import { RestoreProgress } from './restore-progress.js'
import type { StageContexts } from './stage-contexts.js'
import type { FlowState, FlowStatus, Observer } from './status.js'
import { StoreLosses } from './store-losses.js'
import { Supervision } from './supervision.js'
import type { FlowTopology, InputNode, SubTopology } from './topology.js'

/** What one task works with; all of it lives as long as the task. */
export interface TaskParts {
  /** The name under which its checkpoints are kept. */
  readonly name: string
  readonly flow: FlowTopology
  readonly part: SubTopology
  readonly pipeline: Pipeline
  readonly contexts: StageContexts
  readonly stores: TaskStores
  readonly time: EventTime
  readonly rejections: Rejections
  /** Undefined when the positions are the group's offsets. */
  readonly checkpoints: CheckpointStore | undefined
  readonly inheritance: Inheritance
  /** Completes when the checkpoints hold nothing of the flow that it would leave behind. */
  readonly claims$: Observable<never>
  readonly clock: Clock
  readonly log: Logger
  readonly observer: Observer
}

/** How often a task that has nothing to commit does so all the same, ms: only so it learns that somebody has set its position. */
const idleCommitMs = 5_000

/**
 * One running flow. It does one thing after another, each a step: connect, take a change of the assignment, run an
 * epoch, or recover from a failed one. So nothing here has to guard against anything else that runs.
 */
export class FlowTask {
  transaction: EpochTransaction | undefined
  private state: FlowState = 'starting'
  private since: number
  private readonly assignment: Assignment
  private readonly supervision: Supervision
  /** Ends whatever the task waits for. */
  private readonly wake = new Subject<void>()
  /** Ends the running epoch without a commit: its partitions are lost. */
  private readonly abort = new Subject<void>()
  /** Ends what a task that stops need not finish. */
  private readonly halt = new Subject<void>()
  private epoch: EpochBudget | undefined
  private epochs = 0
  /** How many records the last epoch had, and how many the next may have: those of one that took too long would again. */
  private lastRecords = 0
  private mostRecords = Number.POSITIVE_INFINITY
  /** When the sources of the running epoch had ended, and how long the last one took from there until it was committed, ms. */
  private drainedAt = 0
  private endingMs = 0
  private opened = false
  private needsRecovery = false
  /** Whether a change of the assignment, or the order to stop, came during this step. */
  private interrupted = false
  private stopping = false
  /** The last order to give partitions away that sinks were told of. */
  private toldOf: Revoked | 'stop' | undefined
  /** Whether the running epoch has anything to commit, and when one had that last. */
  private isKept = false
  private keptAt: number
  /** Offsets that the sources are given on the side. */
  private readonly mirrors = new Subject<Observable<never>>()
  private readonly ends: PartitionEnds
  private readonly restoring: RestoreProgress
  private readonly losses: StoreLosses
  private lastCommitAt: number | undefined

  constructor(private readonly parts: TaskParts) {
    this.assignment = new Assignment(parts.time.inputs)
    this.supervision = new Supervision(parts.flow.attempts)
    this.restoring = new RestoreProgress(parts.clock, parts.log)
    this.losses = new StoreLosses(parts.stores, parts.clock, parts.log)
    this.ends = new PartitionEnds(parts.pipeline.sources, parts.clock)
    this.since = this.keptAt = parts.clock.scheduler.now()
  }

  /** Runs until `stop`. Errors when the flow has failed too often, or with an error that no retry mends. */
  run(): Observable<never> {
    const lives$ = defer(() => (this.stopping ? EMPTY : this.life())).pipe(
      retry({ delay: (error) => this.afterFailure(error) }),
      tap({ complete: () => this.enter('stopped') }),
    )
    const { sources, sinks } = this.parts.pipeline
    const held$ = merge(...[...sources, ...sinks].map(({ lifetime$ }) => lifetime$ ?? NEVER))
    return merge(held$, concat(lives$, of('ended'))).pipe(
      takeWhile((signal) => signal !== 'ended'),
      ignoreElements(),
      catchError((error: unknown) => this.end(error)),
    )
  }

  /** Emits when there is something else to do than to wait for the running epoch. */
  readonly interrupted$: Observable<unknown> = defer(() => (this.interrupted ? of(true) : this.wake))

  /** The partitions that go to another task behind the running epoch. */
  leaving(): readonly TopicPartition[] {
    const { order } = this
    this.toldOf = order
    return order === 'stop' ? this.assignment.partitions : (order?.partitions ?? [])
  }

  /** What gives partitions away next. */
  private get order(): Revoked | 'stop' | undefined {
    if (this.stopping) return 'stop'
    const change = this.assignment.next()?.change
    return change?.kind === 'revoked' ? change : undefined
  }

  /**
   * Whether partitions go whose positions a sink holds back, and it was not told, for the order came when its epoch was
   * over: another one, in which nothing is read, is what it ends its work in.
   */
  private get hasToTell(): boolean {
    const { order } = this
    if (order === undefined || order === this.toldOf || (order !== 'stop' && order.lost)) return false
    return this.isReady && this.positions().some((position) => this.durable(position) !== position)
  }

  /** Whether nothing has to be done before the next epoch but to take changes of the assignment. */
  private get isReady(): boolean {
    const { part, inheritance } = this.parts
    if (!this.opened || this.needsRecovery || inheritance.isDue) return false
    return !part.global || this.assignment.isWhole
  }

  /** Lets the running epoch drain and commit, then ends the task. */
  stop(): void {
    if (this.stopping || this.state === 'failed') return
    this.enter('draining')
    this.stopping = true
    this.halt.next()
    this.interrupt()
  }

  status(): FlowStatus {
    const { flow, contexts, time } = this.parts
    return {
      flow: flow.name,
      guarantee: flow.guarantee,
      state: this.state,
      since: this.since,
      error: this.supervision.error,
      trouble: this.trouble(),
      failures: this.supervision.failures,
      failingSince: this.supervision.failingSince,
      lastCommitAt: this.lastCommitAt,
      watermark: this.state === 'idle' ? undefined : time.reached,
      restoredBytes: this.restoring.bytes,
      stages: contexts.all,
      partitions: this.ends
        .known(this.positions())
        .filter(({ topic, partition }) => this.assignment.has(topic, partition))
        .map((end) => ({ ...end, streamTime: time.streamTime(end) })),
      stores: this.losses.all,
      metrics: this.parts.pipeline.metrics(),
    }
  }

  /** From connecting to disconnecting; a failure that a replay can't mend begins another life. */
  private life(): Observable<never> {
    const { pipeline } = this.parts
    this.enter('starting')
    this.opened = false
    const assignments$ = merge(
      ...pipeline.sources.map(({ assignments$ }, input) =>
        assignments$.pipe(tap((change) => this.want(change, input))),
      ),
    ).pipe(ignoreElements())
    const steps$ = defer(() => this.step()).pipe(
      catchError((error: unknown) => this.replayAfter(error)),
      // The queue keeps the stack flat when step after step completes at once.
      repeat({ delay: () => (this.stopping && !this.hasToTell ? EMPTY : scheduled([true], queueScheduler)) }),
    )
    const living$ = merge(
      assignments$,
      this.ends.watch(),
      this.mirrors.pipe(mergeAll()),
      concat(steps$, of('done')),
    ).pipe(
      takeWhile((signal) => signal !== 'done'),
      ignoreElements(),
      catchError((error: unknown) =>
        concat(
          this.close(),
          throwError(() => error),
        ),
      ),
    )
    return concat(living$, this.close())
  }

  /** Leaves and closes everything, of a task that runs no more. Never fails: what ended the life is what counts. */
  close(): Observable<never> {
    const { pipeline, rejections, log } = this.parts
    const closings = [...pipeline.sinks, rejections.sink, rejections.retries].map((sink) =>
      defer(() => sink?.close?.() ?? EMPTY).pipe(
        catchError((error: unknown) => {
          log.warn(`closing: ${describeError(error)}`)
          return EMPTY
        }),
      ),
    )
    return concat(
      run(() => this.leave()),
      this.rollback(),
      ...closings,
    )
  }

  private step(): Observable<never> {
    if (this.hasToTell) return this.runEpoch()
    this.interrupted = false
    const unlessHalted = takeUntil<never>(this.halt)
    if (!this.opened) return this.open().pipe(unlessHalted)
    const { change, input = 0 } = this.assignment.next() ?? {}
    if (change?.kind === 'revoked') return this.release(change)
    if (this.needsRecovery) return this.recover().pipe(unlessHalted)
    if (change !== undefined) return this.assign(change, input).pipe(unlessHalted)
    if (this.assignment.isEmpty) return this.waiting()
    if (this.parts.part.global && !this.assignment.isWhole) return this.waitForTheRest()
    if (this.parts.inheritance.isDue) return this.inherit().pipe(unlessHalted)
    return this.runEpoch()
  }

  private open(): Observable<never> {
    const { pipeline, rejections, checkpoints, claims$ } = this.parts
    const openings = [rejections.sink, rejections.retries, ...pipeline.sinks].map((part) => part?.open?.() ?? EMPTY)
    return concat(
      checkpoints?.open() ?? EMPTY,
      claims$,
      ...openings,
      run(() => {
        this.opened = true
        this.enter('assigning')
      }),
    )
  }

  private want(change: AssignmentChange, input: number): void {
    this.assignment.want(change, input)
    if (change.kind === 'revoked' && change.lost) this.abort.next()
    this.interrupt()
  }

  /** Where the sources have come to. */
  private positions(): readonly Position[] {
    return this.parts.pipeline.sources.flatMap((source) => source.positions())
  }

  private assign({ partitions, total, start }: Assigned, input: number): Observable<never> {
    return concat(
      run(() => this.parts.time.assigned(input, partitions, total)),
      this.restore(partitions),
      defer(() => start(this.assignment.committedPositions(input))),
      run(() => {
        const positions = this.positions()
        this.parts.inheritance.begin(positions, (at) => this.assignment.progressOf(at))
        const isNew = (position: Position) => partitions.some((one) => isSamePartition(one, position))
        for (const position of positions.filter(isNew)) this.assignment.base(position)
        this.parts.time.begin(positions)
        this.assignment.settled()
        this.resume()
      }),
    )
  }

  private release({ partitions, release, lost }: Revoked): Observable<never> {
    return concat(
      run(() => this.forget(partitions)),
      lost ? EMPTY : this.giveUp(partitions),
      defer(release),
      run(() => {
        this.assignment.settled()
        if (this.assignment.isEmpty) this.resume()
      }),
    )
  }

  /** Spares the next owner of the partitions the fencing; it can do without. */
  private giveUp(partitions: readonly TopicPartition[]): Observable<never> {
    const { checkpoints, name, log } = this.parts
    return defer(() => checkpoints?.release?.(name, partitions) ?? EMPTY).pipe(
      catchError((error: unknown) => {
        log.debug(`giving up partitions: ${describeError(error)}`)
        return EMPTY
      }),
    )
  }

  /** Goes back to what was committed: stores, times and positions. */
  private recover(): Observable<never> {
    const { pipeline } = this.parts
    return concat(
      this.restore(this.assignment.partitions),
      defer(() => {
        const rewound = pipeline.sources.map((source, input) =>
          source.rewind(this.assignment.committedPositions(input), this.supervision.error),
        )
        return concat(...rewound)
      }),
      run(() => {
        this.parts.time.begin(this.positions())
        this.parts.inheritance.again()
        this.needsRecovery = false
        this.resume()
      }),
    )
  }

  /** Loads what is committed of these partitions. Acquiring them anew also tells how an unclear commit ended. */
  private restore(partitions: readonly TopicPartition[]): Observable<never> {
    const { checkpoints, stores, time, name: task } = this.parts
    const known = partitions.map((partition) => ({
      ...partition,
      generation: 0,
      sequence: 0,
      progress: this.assignment.progressOf(partition),
    }))
    return (checkpoints?.acquire(task, partitions) ?? of(known)).pipe(
      mergeAll(),
      concatMap((acquired) => {
        const progress = acquired.progress ?? this.assignment.progressOf(acquired)
        stores.assign(acquired)
        time.assign(acquired, progress)
        this.assignment.add(acquired, progress)
        return this.load(acquired)
      }),
    )
  }

  private load(acquired: AcquiredPartition): Observable<never> {
    const { checkpoints, stores, name: task } = this.parts
    if (checkpoints === undefined || acquired.progress === undefined) return EMPTY
    this.restoring.begin()
    const restored$ = checkpoints.load(task, acquired).pipe(
      tap((chunk) => {
        stores.restore(acquired, chunk)
        this.restoring.took(acquired, chunk)
      }),
      ignoreElements(),
    )
    return concat(
      restored$,
      run(() => this.restoring.done(acquired, stores.restored(acquired))),
    )
  }

  /** Takes over what is left of partitions that topics no longer have. */
  private inherit(): Observable<never> {
    const { checkpoints, inheritance, stores, time, name: task, log } = this.parts
    this.letGo(inheritance.letGo())
    const taken$ = inheritance.find(this.positions()).pipe(
      mergeMap((found) => (found.length === 0 ? EMPTY : (checkpoints?.acquire(task, found) ?? EMPTY)), 1),
      mergeAll(),
      concatMap((acquired) => {
        if (!inheritance.take(acquired)) return EMPTY
        const { topic, partition } = acquired
        log.info({ topic, partition }, `what is left of ${partitionName(acquired)}, which is no more, is sent on`)
        stores.assign(acquired)
        time.inherit(acquired, inheritance.isForgotten(acquired))
        return this.load(acquired)
      }),
    )
    return concat(
      taken$,
      run(() => {
        inheritance.isDue = false
      }),
    )
  }

  private waiting(): Observable<never> {
    return this.wake.pipe(take(1), ignoreElements())
  }

  private waitForTheRest(): Observable<never> {
    const { patienceMs } = this.assignment
    if (patienceMs === Number.POSITIVE_INFINITY) return this.waiting()
    const impatient$ = timer(patienceMs, this.parts.clock.scheduler).pipe(
      mergeMap(() => throwError(() => this.assignment.partialError()), 1),
    )
    return race(this.wake.pipe(take(1)), impatient$).pipe(ignoreElements())
  }

  private runEpoch(): Observable<never> {
    const { pipeline, contexts, rejections, time, checkpoints, clock, part } = this.parts
    const maxRecords = Math.min(part.limits.maxRecords, this.mostRecords)
    // What ends slowly ends seldom.
    const { lingerMs = Number.POSITIVE_INFINITY } = part.limits
    const limits = { ...part.limits, maxRecords, lingerMs: Math.max(lingerMs, this.endingMs / 2) }
    const epoch = new EpochBudget(this.epochs++, limits, clock)
    if (this.order !== undefined) {
      this.toldOf = this.order
      epoch.cut()
    }
    this.epoch = epoch
    this.transaction = checkpoints?.begin(this.parts.name)
    contexts.begin()
    const drained = () => {
      epoch.cut()
      this.drainedAt = clock.scheduler.now()
      const positions = this.positions()
      time.advance(this.ends.fresh(positions), positions)
    }
    const lost$ = this.abort.pipe(mergeMap(() => throwError(() => lostError()), 1))
    const written$ = concat(
      defer(() => pipeline.run(epoch, drained)),
      defer(() => rejections.flush()),
    )
    return concat(
      written$.pipe(ignoreElements(), takeUntil(lost$)),
      defer(() => this.commit(epoch)),
    ).pipe(
      tap({ error: (cause: unknown) => this.traced(epoch, undefined, cause) }),
      finalize(() => {
        epoch.cut()
        this.epoch = undefined
        this.lastRecords = epoch.records
      }),
    )
  }

  private commit(epoch: EpochBudget): Observable<never> {
    const { pipeline, part, clock } = this.parts
    const reached = pipeline.sources.map((source, index) => marked(source.positions(), part.inputs[index] as InputNode))
    const durable = reached.map((positions) => positions.map((position) => this.durable(position)))
    const positions = durable.flat()
    const began = clock.scheduler.now()
    const commit$ = this.parts.checkpoints === undefined ? EMPTY : this.checkpoint(positions)
    // What a source is told of another's topics it would commit to its own group, and behind it delete records.
    const offsets$ = merge(...pipeline.sources.map((source, input) => source.commit(durable[input] ?? [])))
    return concat(
      commit$,
      this.assignment.isUnchanged(positions) && epoch.records === 0 ? EMPTY : this.mirrored(offsets$),
      run(() => this.committed(epoch, reached.flat(), positions, clock.scheduler.now() - began)),
      ...pipeline.sinks.map((sink) => defer(() => sink.committed?.() ?? EMPTY)),
    )
  }

  /** A position, or where a sink has it held back. */
  private durable(position: Position): Position {
    const held = this.parts.pipeline.sinks.map((sink) => sink.holds?.(position) ?? Number.POSITIVE_INFINITY)
    const offset = Math.min(position.offset, ...held)
    return offset === position.offset ? position : { ...position, offset }
  }

  /** Commits stores and positions in the epoch's transaction, when there is anything to commit. */
  private checkpoint(positions: readonly Position[]): Observable<never> {
    const { stores, contexts, time, clock, name: task, inheritance } = this.parts
    const read = positions.map((position) =>
      stores.commit(position, { ...time.progressOf(position), facts: position.facts }),
    )
    const partitions = [...read, ...inheritance.commits(stores)]
    const { transaction } = this
    if (transaction === undefined) return EMPTY
    const isSame = this.assignment.isUnchanged(positions) && inheritance.isEmpty
    const isUnchanged = isSame && partitions.every(({ chunks }) => chunks.length === 0)
    const isDue = clock.scheduler.now() - this.keptAt >= idleCommitMs
    this.isKept = !isUnchanged || contexts.hasWritten() || time.hasNews || time.hasMovedOn(this.interrupted) || isDue
    if (this.isKept) this.keptAt = clock.scheduler.now()
    return this.isKept ? transaction.commit({ task, partitions }) : this.rollback()
  }

  /**
   * Where the checkpoint store has the positions, the group's offsets are only for lag tools: nobody waits for them, and
   * they may fail. While members join, a group answers only when all have.
   */
  private mirrored(offsets$: Observable<never>): Observable<never> {
    const { checkpoints, log } = this.parts
    if (checkpoints === undefined) return offsets$
    const mirror$ = offsets$.pipe(
      catchError((error: unknown) => {
        log.warn(`mirroring positions to the consumer group: ${describeError(error)}`)
        return EMPTY
      }),
    )
    return run(() => this.mirrors.next(mirror$))
  }

  private committed(
    epoch: EpochBudget,
    reached: readonly Position[],
    positions: readonly Position[],
    commitMs: number,
  ): void {
    const { time, rejections, contexts, observer, part, flow, clock, inheritance } = this.parts
    this.letGo(inheritance.done())
    for (const position of positions) {
      const { offset, facts } = position
      this.assignment.commit(position, { position: offset, ...time.progressOf(position), facts })
    }
    time.committed(this.isKept)
    rejections.committed()
    contexts.committed()
    this.losses.committed()
    const { number, records } = epoch
    this.lastCommitAt = clock.scheduler.now()
    if (records > 0) this.endingMs = this.lastCommitAt - this.drainedAt
    this.supervision.succeeded(reached, records, this.lastCommitAt)
    this.transaction = undefined
    this.traced(epoch, commitMs)
    observer.epoch?.({
      flow: flow.name,
      part: part.name,
      epoch: number,
      records,
      durationMs: epoch.durationMs(),
      commitMs,
    })
  }

  private traced({ number, records }: EpochBudget, commitMs: number | undefined, cause?: unknown): void {
    const { contexts, part, flow } = this.parts
    const error = cause === undefined ? {} : { error: asWeirError(cause, undefined, { flow: flow.name }) }
    contexts.tracer?.over({ part: part.name, epoch: number, records, commitMs, ...error })
  }

  /** After an error that a replay may mend: waits, and has the next step go back to the last commit. */
  private replayAfter(cause: unknown): Observable<never> {
    const error = asWeirError(cause, undefined, { flow: this.parts.flow.name })
    if (error.remedy !== 'retry') return throwError(() => error)
    const backoffMs = this.failed(error)
    this.needsRecovery = !this.assignment.isEmpty
    return concat(this.rollback(), this.pause(backoffMs))
  }

  /** After an error that ended a life: waits before the next one begins, or gives up. */
  private afterFailure(cause: unknown): Observable<unknown> {
    if (cause instanceof GaveUp) return throwError(() => cause)
    const error = asWeirError(cause, undefined, { flow: this.parts.flow.name })
    if (this.stopping) {
      this.parts.log.warn({ code: error.code }, `ending without a commit: ${describeError(error)}`)
      return EMPTY
    }
    return concat(
      this.pause(this.failed(error)),
      defer(() => (this.stopping ? EMPTY : of(true))),
    )
  }

  /** After the last life, or an error of what outlives them: the flow has failed. */
  private end(cause: unknown): Observable<never> {
    if (cause instanceof GaveUp) {
      this.enter('failed')
      return throwError(() => cause.reason)
    }
    const error = asWeirError(cause, undefined, { flow: this.parts.flow.name })
    this.supervision.failed(error, this.parts.clock.scheduler.now(), [])
    this.parts.log.error({ code: error.code }, `the flow stops: ${describeError(error)}`)
    this.enter('failed')
    return concat(
      this.close(),
      throwError(() => error),
    )
  }

  /** Counts a failure and tells it. Returns how long to wait, ms; throws when the flow has to stop. */
  private failed(error: WeirError): number {
    const { log, rejections, contexts, pipeline, clock } = this.parts
    const backoffMs = this.supervision.failed(error, clock.scheduler.now(), this.readInVain())
    const { failures } = this.supervision
    if (error.isTooLong) this.mostRecords = Math.max(1, Math.floor(this.lastRecords / 2))
    rejections.failed()
    contexts.failed(error)
    for (const source of pipeline.sources) source.failed?.(error)
    if (backoffMs === undefined) {
      log.error({ code: error.code, failures }, `the flow stops: ${describeError(error)}`)
      throw new GaveUp(error)
    }
    log.warn(
      { code: error.code, failures, backoffMs, err: error.cause },
      `${error.remedy} in ${backoffMs} ms: ${describeError(error)}`,
    )
    this.enter('retrying')
    return backoffMs
  }

  /** How far the sources have read beyond the last commit; undefined when none of it comes again. */
  private readInVain(): readonly Position[] | undefined {
    const { pipeline, part } = this.parts
    const again = pipeline.sources.filter((_, index) => part.inputs[index]?.source.definition.replayable === true)
    if (again.length === 0) return undefined
    return again
      .flatMap((source) => source.positions())
      .filter((position) => this.assignment.has(position.topic, position.partition))
      .filter((position) => !this.assignment.isUnchanged([position]))
  }

  /** Waits, unless something has come that can't, or comes. */
  private pause(ms: number): Observable<never> {
    return defer(() => {
      if (this.interrupted) return EMPTY
      return race(timer(ms, this.parts.clock.scheduler), this.wake).pipe(take(1), ignoreElements())
    })
  }

  /** Undoes what joined the epoch's transaction, once. */
  private rollback(): Observable<never> {
    return defer(() => {
      const { transaction } = this
      this.transaction = undefined
      return transaction?.rollback() ?? EMPTY
    })
  }

  private forget(partitions: readonly TopicPartition[]): void {
    this.letGo([...partitions, ...this.parts.inheritance.forget(partitions)])
    this.assignment.remove(partitions)
  }

  private letGo(partitions: readonly TopicPartition[]): void {
    this.parts.stores.release(partitions)
    this.parts.time.release(partitions)
  }

  private leave(): void {
    this.forget(this.assignment.partitions)
    this.assignment.clear()
    this.needsRecovery = false
    this.interrupted = false
  }

  private interrupt(): void {
    this.interrupted = true
    this.epoch?.cut()
    this.wake.next()
  }

  /** Goes on with the partitions that it has, if it has any. */
  private resume(): void {
    const { isEmpty } = this.assignment
    // An age of long ago would be held against the first epoch after an idle night.
    if (isEmpty) this.lastCommitAt = undefined
    this.enter(isEmpty ? 'idle' : 'running')
  }

  private trouble(): WeirError | undefined {
    if (['stopped', 'failed', 'draining'].includes(this.state)) return undefined
    const { sources, sinks } = this.parts.pipeline
    const troubles = [...sources, ...sinks].map((part) => part.trouble?.())
    return troubles.find((trouble) => trouble !== undefined)?.within({ flow: this.parts.flow.name })
  }

  private enter(state: FlowState): void {
    if (this.stopping && state !== 'stopped' && state !== 'failed') return
    this.state = state
    this.since = this.parts.clock.scheduler.now()
    this.parts.observer.state?.(this.status())
  }
}

/** Tells an error that was judged already from one that is still to be judged. */
class GaveUp extends Error {
  constructor(readonly reason: WeirError) {
    super(reason.message)
  }
}

function lostError(): WeirError {
  return new WeirError('WEIR_CHECKPOINT_FENCED', 'reading: the group gave partitions to another member meanwhile', {
    remedy: 'retry',
  })
}

/** Does something when subscribed, and completes. */
function run(effect: () => void): Observable<never> {
  return defer(() => {
    effect()
    return EMPTY
  })
}
