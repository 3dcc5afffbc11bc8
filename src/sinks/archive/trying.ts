import { concatMap, defer, map, type Observable, race, retry, tap, throwError, timer } from 'rxjs'
import type { Clock, Logger } from '../../model/index.js'
import { BlobFault } from './blob-fault.js'
import { type Admitted, Breaker, type BreakerState } from './breaker.js'

const firstPauseMs = 200
const firstOpenMs = 1_000
const longestPauseMs = 30_000
const failuresToOpen = 5

export interface ResilienceContext {
  readonly clock: Clock
  readonly log: Logger
  /** How long a request is tried again before its error is told, ms. Default: for as long as it takes. */
  readonly patienceMs?: number
  /** Between 0 and 1, by chance. */
  readonly random?: () => number
  /** Told of each request that failed and may be tried again. */
  readonly failed?: (error: BlobFault) => void
}

/**
 * Tries again what may do better: after pauses that double and differ by chance, as long as the system itself asks for, and
 * when it keeps failing only after a breaker lets it through. What somebody has to mend is tried again too, with the longest
 * pause: that may happen at any time.
 */
export class Trying {
  private readonly breaker: Breaker

  /** `address` is what the system is called in the log. */
  constructor(
    address: string,
    private readonly context: ResilienceContext,
  ) {
    const { clock, log, random = Math.random } = context
    const pauses = { failures: failuresToOpen, pauseMs: firstOpenMs, longestPauseMs }
    this.breaker = new Breaker({ ...pauses, random, clock, log, address })
  }

  get state(): BreakerState {
    return this.breaker.state
  }

  /** What `state` is, and each change of it. */
  get state$(): Observable<BreakerState> {
    return this.breaker.state$
  }

  close(): void {
    this.breaker.close()
  }

  /** Errors: those that pass by nothing, and others when the time is up. */
  request<T>(request: () => Observable<T>): Observable<T> {
    return defer(() => {
      const { clock, patienceMs = Number.POSITIVE_INFINITY } = this.context
      const deadline = clock.scheduler.now() + patienceMs
      return defer(() => this.admitted(deadline)).pipe(
        concatMap((admitted) => this.watched(request(), admitted)),
        retry({ delay: (error: unknown, attempt) => this.pause(error, attempt, deadline) }),
      )
    })
  }

  private admitted(deadline: number): Observable<Admitted> {
    const { scheduler } = this.context.clock
    const { admission$ } = this.breaker
    if (deadline === Number.POSITIVE_INFINITY) return admission$
    const tooLong$ = timer(deadline - scheduler.now(), scheduler).pipe(
      map((): never => {
        throw this.breaker.state.state === 'closed' ? new Error('the breaker is closed') : this.breaker.state.error
      }),
    )
    return race(admission$, tooLong$)
  }

  /** The breaker is told what becomes of a request. One that the store has answered, be it with a no, came through. */
  private watched<T>(request$: Observable<T>, admitted: Admitted): Observable<T> {
    const { breaker } = this
    return request$.pipe(
      tap({
        complete: () => breaker.succeeded(),
        error: (error: unknown) => {
          if (!(error instanceof BlobFault)) breaker.left(admitted)
          else if (error.isPassing) {
            this.context.failed?.(error)
            breaker.failed(error, admitted)
          } else breaker.succeeded()
        },
        unsubscribe: () => breaker.left(admitted),
      }),
    )
  }

  /** While the breaker is open it is the breaker who says how long to wait. */
  private pause(error: unknown, attempt: number, deadline: number): Observable<unknown> {
    const { clock, log, random = Math.random } = this.context
    if (!(error instanceof BlobFault) || !error.isPassing) return throwError(() => error)
    const isOpen = this.breaker.state.state !== 'closed'
    const backoffMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)) * (1 - random() / 2)
    const waitMs = isOpen ? 0 : Math.max(error.retryAfterMs, Math.round(backoffMs))
    if (clock.scheduler.now() + waitMs >= deadline) return throwError(() => error)
    if (!isOpen) log.warn(`${error.told} Trying again in ${waitMs} ms.`)
    return timer(waitMs, clock.scheduler)
  }
}
