import { randomUUID } from 'node:crypto'
import {
  catchError,
  concat,
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  type Observable,
  race,
  repeat,
  Subject,
  timer,
} from 'rxjs'
import { type Actor, type AuditEvent, type AuditLog, type Clock, describeError, type Logger } from '../model/index.js'

/** What came of a request that was to bring records. */
export interface IntakeRequest {
  /** `POST /events` */
  readonly route: string
  readonly correlationId: string
  readonly caller: Actor
  readonly status: number
  /** Why it was not taken: the code of an error, or of the port. */
  readonly code?: string | undefined
  /** How many it brought and how many were taken; undefined where nobody has looked into it. */
  readonly records?: number | undefined
  readonly accepted?: number | undefined
}

/** What of it is done with. */
export interface IntakeAuditStatus {
  readonly written: number
  readonly lost: number
  readonly waiting: number
}

/** Some 10 MB. */
const mostWaiting = 20_000
const mostAtOnce = 2_000
const everyMs = 1_000

/**
 * Writes down who brought records, a request at a time, beside the intake and never in its way: what can't be written waits
 * for a while, and what is too much is counted and lost.
 */
export class IntakeAudit {
  private readonly waiting: AuditEvent[] = []
  private written = 0
  private lost = 0
  private isOpen = false
  private isStopping = false
  private readonly stopping = new Subject<void>()
  private readonly ended = new Subject<never>()
  /** Whether the last try failed, and whether any were lost since. */
  private isAway = false
  private isFull = false

  constructor(
    private readonly target: AuditLog,
    private readonly app: string,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  took({ route, correlationId, caller: actor, status, code, records, accepted }: IntakeRequest): void {
    if (this.waiting.length >= mostWaiting) return this.lose()
    this.waiting.push({
      id: randomUUID(),
      time: this.clock.now(),
      source: `weir/${this.app}`,
      action: 'intake',
      subject: route,
      correlationId,
      actor,
      outcome: outcomeOf(status, accepted),
      data: { status, code, records, accepted },
    })
  }

  status(): IntakeAuditStatus {
    return { written: this.written, lost: this.lost, waiting: this.waiting.length }
  }

  /** Writes what comes until it is told to stop, and then the rest. */
  run(): Observable<never> {
    const delay = () => (this.isStopping ? EMPTY : race(timer(everyMs, this.clock.scheduler), this.stopping))
    return concat(
      defer(() => this.flush()).pipe(repeat({ delay })),
      defer(() => this.close()),
    ).pipe(finalize(() => this.ended.complete()))
  }

  /** Completes when it has. */
  stop(): Observable<never> {
    return defer(() => {
      this.isStopping = true
      this.stopping.next()
      return this.ended
    })
  }

  /** Tells what was not written. */
  over(): void {
    const { length } = this.waiting.splice(0)
    this.lost += length
    if (this.lost > 0) this.log.error({ lost: this.lost }, `${this.lost} events of the audit are lost`)
  }

  /** Completes when nothing waits, or it can't be written now. */
  private flush(): Observable<never> {
    const batch = this.waiting.slice(0, mostAtOnce)
    if (batch.length === 0) return EMPTY
    return concat(
      this.isOpen ? EMPTY : this.target.open(),
      defer(() => {
        this.isOpen = true
        return this.target.write(batch)
      }),
      defer(() => {
        this.done(batch.length)
        return this.flush()
      }),
    ).pipe(catchError((error: unknown) => this.failed(error)))
  }

  private done(count: number): void {
    this.waiting.splice(0, count)
    this.written += count
    if (this.isAway) this.log.info(`the audit is written to ${this.target.address} again`)
    this.isAway = this.isFull = false
  }

  private failed(error: unknown): Observable<never> {
    if (!this.isAway)
      this.log.warn(
        `${describeError(error)}. Requests are taken all the same, and ${mostWaiting} events of the audit wait at most`,
      )
    this.isAway = true
    return this.close()
  }

  /** A client that has failed may be of no more use. */
  private close(): Observable<never> {
    if (!this.isOpen) return EMPTY
    this.isOpen = false
    return this.target.close().pipe(
      ignoreElements(),
      catchError(() => EMPTY),
    )
  }

  private lose(): void {
    this.lost++
    if (!this.isFull) this.log.error(`events of the audit are lost: ${mostWaiting} wait for ${this.target.address}`)
    this.isFull = true
  }
}

/** A request that failed with 500 may have been stored. */
function outcomeOf(status: number, accepted: number | undefined): string {
  if (status < 300) return 'accepted'
  if (accepted !== undefined && accepted > 0) return 'accepted in part'
  return status >= 500 && status !== 503 ? 'unknown' : 'refused'
}
