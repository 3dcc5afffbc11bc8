import {
  concat,
  defer,
  EMPTY,
  finalize,
  from,
  ignoreElements,
  map,
  merge,
  mergeMap,
  type Observable,
  of,
  retry,
  Subject,
  share,
  skip,
  take,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs'
import type { Clock, Logger } from '../model/index.js'
import { type Absence, type Link, Switchboard, type ToSupervisor, type ToWorker } from './crew.js'
import type { Outcome } from './worker.js'

/** How a process ended: with a code, or by a signal. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** A process that was started. */
export interface WorkerProcess extends Link<ToWorker, ToSupervisor> {
  readonly pid: number | undefined
  /** Emits once. */
  readonly exit$: Observable<Exit>
  /** As a power cut. */
  kill(): void
}

export interface SupervisorOptions {
  /** How many workers; they are numbered from 1. */
  readonly count: number
  start(worker: number): WorkerProcess
  /** Exit codes after which another try would end the same. */
  readonly hopeless: readonly number[]
  readonly clock: Clock
  readonly log: Logger
  /** The first emission has all workers drain, the second ends them at once. */
  readonly stop$: Observable<unknown>
  /** All workers are told to load the configuration again. Default: never. */
  readonly reload$?: Observable<unknown>
}

/** How it all ended: as a worker does, or with the code of one for which there is no hope. */
export type SupervisorEnd = { readonly outcome: Outcome } | { readonly code: number }

const firstBackoffMs = 500
const mostBackoffMs = 30_000
/** A worker that has run for so long had been well. */
const steadyMs = 60_000
/** A worker's own time to drain and to close, and some more. */
const shutdownMs = 40_000

/** Keeps a number of workers running. Emits once, how it ended; leaving it kills them. */
export function supervise(options: SupervisorOptions): Observable<SupervisorEnd> {
  return defer(() => new Supervisor(options).run())
}

class Supervisor {
  private readonly workers: readonly number[]
  private readonly processes = new Map<number, WorkerProcess>()
  private readonly absences = new Map<number, Absence>()
  private readonly board: Switchboard
  private readonly stopped = new Subject<void>()
  private stopping = false
  private failed = false
  private hopeless: number | undefined

  constructor(private readonly options: SupervisorOptions) {
    this.workers = Array.from({ length: options.count }, (_, index) => index + 1)
    this.board = new Switchboard(this.workers, options.clock, (worker) => this.absence(worker))
  }

  run(): Observable<SupervisorEnd> {
    const { clock, log } = this.options
    const stop$ = this.options.stop$.pipe(share())
    const told$ = stop$.pipe(
      take(1),
      tap(() => {
        log.info('stopping: workers drain and commit; once more ends them at once')
        this.stop()
      }),
      ignoreElements(),
    )
    const reloads$ = (this.options.reload$ ?? EMPTY).pipe(
      tap(() => this.tell({ kind: 'reload' })),
      ignoreElements(),
    )
    const overdue$ = this.stopped.pipe(
      mergeMap(() => timer(shutdownMs, clock.scheduler), 1),
      map((): SupervisorEnd => ({ outcome: 'overdue' })),
    )
    const interrupted$ = stop$.pipe(
      skip(1),
      map((): SupervisorEnd => ({ outcome: 'interrupted' })),
    )
    const all$ = from(this.workers).pipe(mergeMap((worker) => this.keep(worker), this.workers.length))
    const ended$ = concat(
      all$,
      defer(() => of(this.end())),
    )
    return merge(interrupted$, overdue$, told$, reloads$, ended$).pipe(
      take(1),
      finalize(() => this.killAll()),
    )
  }

  /** Runs a worker and starts it again whenever it dies. Completes when it has ended for good. */
  private keep(worker: number): Observable<never> {
    let deaths = 0
    const life$ = defer(() => {
      const began = this.options.clock.scheduler.now()
      return this.live(worker).pipe(
        mergeMap((exit) => {
          if (this.isLast(worker, exit)) return EMPTY
          deaths = this.options.clock.scheduler.now() - began >= steadyMs ? 1 : deaths + 1
          return throwError(() => new Death(exit, backoffMs(deaths)))
        }, 1),
      )
    })
    const delay = (cause: unknown) => (cause instanceof Death ? this.mourn(worker, cause) : throwError(() => cause))
    return life$.pipe(retry({ delay }))
  }

  /** One life of a worker: emits how it ended. */
  private live(worker: number): Observable<Exit> {
    return defer(() => {
      const process = this.options.start(worker)
      this.processes.set(worker, process)
      this.options.log.info({ worker, pid: process.pid }, `worker ${worker} starts`)
      this.absences.set(worker, { state: 'starting', reason: 'it is still starting' })
      const exit$ = process.exit$.pipe(
        take(1),
        tap((exit) => {
          this.processes.delete(worker)
          this.absences.set(worker, { state: 'down', reason: `it ended ${textOf(exit)}` })
        }),
      )
      return merge(this.board.serve(worker, process), exit$)
    })
  }

  /** Whether a worker that ended stays ended. */
  private isLast(worker: number, { code, signal }: Exit): boolean {
    const { log, hopeless } = this.options
    if (code === 0) this.absences.set(worker, { state: 'ended', reason: 'its flows have ended' })
    if (code === 0) return true
    if (code !== null && hopeless.includes(code)) {
      log.error({ worker, code }, `worker ${worker} ended with code ${code}, and would again: all stop`)
      this.hopeless ??= code
      this.stop()
      return true
    }
    if (!this.stopping) return false
    log.error({ worker, code, signal }, `worker ${worker} ended ${textOf({ code, signal })} instead of draining`)
    this.failed = true
    return true
  }

  /** Waits before the next life, unless everything stops. */
  private mourn(worker: number, { exit, backoffMs }: Death): Observable<unknown> {
    const text = `ended ${textOf(exit)}, and starts again in ${backoffMs} ms`
    this.options.log.error({ worker, ...exit, backoffMs }, `worker ${worker} ${text}`)
    this.absences.set(worker, { state: 'down', reason: `it ${text}` })
    return timer(backoffMs, this.options.clock.scheduler).pipe(takeUntil(this.stopped))
  }

  private stop(): void {
    if (this.stopping) return
    this.stopping = true
    this.tell({ kind: 'stop' })
    this.stopped.next()
  }

  private tell(message: ToWorker): void {
    for (const process of this.processes.values()) process.send(message)
  }

  private killAll(): void {
    for (const process of this.processes.values()) process.kill()
  }

  private absence(worker: number): Absence {
    return this.absences.get(worker) ?? { state: 'starting', reason: 'it is still starting' }
  }

  private end(): SupervisorEnd {
    if (this.hopeless !== undefined) return { code: this.hopeless }
    return { outcome: this.failed ? 'failed' : 'stopped' }
  }
}

class Death extends Error {
  constructor(
    readonly exit: Exit,
    readonly backoffMs: number,
  ) {
    super(`ended ${textOf(exit)}`)
  }
}

function backoffMs(deaths: number): number {
  return Math.min(mostBackoffMs, firstBackoffMs * 2 ** (deaths - 1))
}

function textOf({ code, signal }: Exit): string {
  return code === null ? `by ${signal}` : `with code ${code}`
}
