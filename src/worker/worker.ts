import {
  concat,
  defer,
  EMPTY,
  endWith,
  finalize,
  from,
  ignoreElements,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  type Observable,
  of,
  race,
  share,
  skip,
  take,
  takeWhile,
  tap,
  timer,
} from 'rxjs'
import type { FlowStatus, Observer } from '../engine/status.js'
import type { AuditLog, Clock, HttpServer, Logger } from '../model/index.js'
import type { Crew } from './crew.js'
import { type PortOptions, WorkerHttpServer } from './http-server.js'
import { IntakeAudit } from './intake-audit.js'
import { createMetrics } from './metrics.js'
import { stateLog, together } from './observers.js'
import { type Address, reachOf } from './reach.js'
import { workerAnswers, workerRoutes } from './routes.js'

/** What a worker needs of the engine. */
export interface RunningEngine {
  run(): Observable<never>
  stop(): void
  status(): readonly FlowStatus[]
  close(): Promise<void>
}

/**
 * How a worker ended: all flows drained; some failed; the drain took too long; or it was told twice and dropped
 * everything.
 */
export type Outcome = 'stopped' | 'failed' | 'overdue' | 'interrupted'

export interface Running {
  readonly address: Address
  /** How this machine reaches the port. */
  readonly url: string
  /** Emits when the worker is told to stop. */
  readonly stop$: Observable<unknown>
  flows(): readonly FlowStatus[]
}

export interface WorkerOptions<E extends RunningEngine = RunningEngine> {
  /** Makes the engine. Throws what is wrong with its flows. */
  engine(parts: { readonly http: HttpServer; readonly observer: Observer }): E
  readonly clock: Clock
  readonly log: Logger
  readonly address: Address
  /** Who may call the port, and how it is encrypted. */
  readonly port?: PortOptions
  /** Takes secrets out of what callers are told. */
  readonly redact?: (text: string) => string
  /** The first emission drains the flows, the second ends everything at once. */
  readonly stop$: Observable<unknown>
  /** What `/version` tells. */
  readonly about: object
  /** The workers that share the port with this one, which answers for all. */
  readonly crew?: Crew | undefined
  readonly observers?: readonly Observer[]
  /** Where it is written down who brings records over HTTP, and to which app. */
  readonly audit?: { readonly app: string; log(engine: E): AuditLog } | undefined
  /** Runs beside the flows, from when the worker listens until they have ended. */
  beside?(running: Running): Observable<unknown>
  /** Default 30 s. */
  readonly shutdownTimeoutMs?: number
  /** How long a flow may go without a commit before it counts as stuck. Default 60 s. */
  readonly stuckAfterMs?: number
}

/**
 * Runs flows as one process: the engine, the HTTP port, metrics and log. Emits once, how it ended.
 * Errors: WEIR_HTTP_PORT_TAKEN, and what is wrong with the flows; nothing runs then.
 */
export function runWorker<E extends RunningEngine>(options: WorkerOptions<E>): Observable<Outcome> {
  return defer(() => new Worker(options).run())
}

class Worker<E extends RunningEngine> {
  private readonly server: WorkerHttpServer
  private readonly engine: E
  private readonly metrics
  private readonly audit: IntakeAudit | undefined
  private stoppedAt: number | undefined

  constructor(private readonly options: WorkerOptions<E>) {
    const { clock, log, observers = [] } = options
    this.server = new WorkerHttpServer(log, {
      ...options.port,
      took: options.audit && ((one) => this.audit?.took(one)),
    })
    this.metrics = createMetrics(
      () => this.engine.status(),
      () => clock.scheduler.now(),
      () => this.server.status(),
      options.audit && (() => this.audit?.status() ?? { written: 0, lost: 0, waiting: 0 }),
    )
    const observer = together([this.metrics.observer, stateLog(log), ...observers])
    this.engine = options.engine({ http: this.server, observer })
    this.audit = options.audit && new IntakeAudit(options.audit.log(this.engine), options.audit.app, clock, log)
  }

  run(): Observable<Outcome> {
    const { clock, shutdownTimeoutMs = 30_000 } = this.options
    const stop$ = this.options.stop$.pipe(share())
    const drain$ = stop$.pipe(
      take(1),
      tap(() => this.drain()),
    )
    const overdue$ = drain$.pipe(
      mergeMap(() => timer(shutdownTimeoutMs, clock.scheduler), 1),
      map((): Outcome => 'overdue'),
    )
    const interrupted$ = stop$.pipe(
      skip(1),
      take(1),
      map((): Outcome => 'interrupted'),
    )
    const running$ = this.listen().pipe(mergeMap((address) => this.flows(address, stop$), 1))
    const finished$ = concat(
      running$,
      this.close(),
      defer(() => of(this.outcome())),
    )
    const outcome$ = race(merge(overdue$, interrupted$), merge(this.routes(), finished$)).pipe(
      take(1),
      tap((outcome) => this.log(outcome)),
      // A process can't exit while a client is in the midst of closing.
      mergeMap((outcome) => concat(outcome === 'overdue' ? this.close() : EMPTY, of(outcome)), 1),
    )
    return merge(this.audit?.run() ?? EMPTY, outcome$).pipe(
      take(1),
      finalize(() => this.audit?.over()),
    )
  }

  private flows(address: Address, stop$: Observable<unknown>): Observable<never> {
    const { url } = reachOf(address, this.options.port?.tls !== undefined)
    const beside$ = this.options.beside?.({ address, url, stop$, flows: () => this.engine.status() }) ?? EMPTY
    return merge(beside$.pipe(ignoreElements()), this.engine.run().pipe(endWith('ended'))).pipe(
      takeWhile((signal) => signal !== 'ended'),
      ignoreElements(),
    )
  }

  private routes(): Observable<never> {
    const { clock, about, crew, stuckAfterMs = 60_000, redact = (text: string) => text } = this.options
    const answers = workerAnswers({
      flows: () => this.engine.status(),
      clock,
      metrics: this.metrics,
      stuckAfterMs,
      redact,
      isStopping: () => this.stoppedAt !== undefined,
    })
    const views = () => this.server.views()
    const routes = workerRoutes({ answers, metrics: this.metrics, about, views, crew })
    return merge(...routes.map((route) => this.server.serve(route)), crew?.answer((topic) => answers[topic]()) ?? EMPTY)
  }

  private listen(): Observable<Address> {
    const { address, log, port } = this.options
    return defer(() => this.server.listen(address)).pipe(
      tap((bound) => {
        const { url, reach } = reachOf(bound, port?.tls !== undefined)
        log.info(`listening on ${url}${reach === 'all' ? ' and every other address of this machine' : ''}`)
        if (reach !== 'loopback' && port?.token === undefined && port?.tokens === undefined)
          log.warn('whoever reaches the port may use it: give `http` a token, or a host of 127.0.0.1')
      }),
    )
  }

  private drain(): void {
    this.stoppedAt = this.options.clock.scheduler.now()
    this.options.log.info('stopping: flows drain and commit; once more ends them at once')
    this.engine.stop()
  }

  /** Flows have ended: answers whoever still waits, and frees all. */
  private close(): Observable<never> {
    const { clock, log } = this.options
    // What those are answered who still wait is written down as well, by a connection of the engine.
    const audited = async () => {
      await this.server.close()
      await lastValueFrom(this.audit?.stop() ?? EMPTY, { defaultValue: undefined })
    }
    const closed = async () => {
      const server = audited()
      if (this.audit !== undefined) await Promise.allSettled([server])
      return Promise.allSettled([server, this.engine.close()])
    }
    const closed$ = defer(() => from(closed())).pipe(
      tap((results) => {
        for (const result of results)
          if (result.status === 'rejected') log.warn({ error: result.reason as unknown }, 'closing')
      }),
    )
    return race(closed$, timer(5_000, clock.scheduler)).pipe(
      tap(() => this.metrics.close()),
      ignoreElements(),
    )
  }

  /** A flow that had failed before the worker was told to stop has been told of then. */
  private outcome(): Outcome {
    const since = this.stoppedAt ?? 0
    return this.engine.status().some((flow) => flow.state === 'failed' && flow.since >= since) ? 'failed' : 'stopped'
  }

  private log(outcome: Outcome): void {
    const { log } = this.options
    if (outcome === 'stopped') log.info('stopped')
    if (outcome === 'failed') log.error('stopped: flows have failed')
    if (outcome === 'overdue') log.error('stopped: the flows did not drain in time; what was not committed is replayed')
    if (outcome === 'interrupted') log.warn('stopped at once: what was not committed is replayed')
  }
}
