import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  ignoreElements,
  type Observable,
  of,
  repeat,
  takeWhile,
  tap,
  throwError,
  timeout,
  timer,
} from 'rxjs'
import { causeOf } from '../../model/cause-of.js'
import { type Clock, describeError, type Logger, WeirError } from '../../model/index.js'
import { retryAfterMs } from '../../model/retry-after.js'
import { Backoff } from './backoff.js'
import type { Answer, Ask } from './client.js'
import { Decoder, EndlessEvent, type IdAlone, type ServerEvent } from './decoder.js'
import { faultOf, lasting, verdictOf } from './verdict.js'

/** So many answers in a row that are no stream are no accident of something in between. */
const foreignAnswers = 10

/** An id that is longer goes into no header. */
const longestId = 4_096

export interface EventStreamParts {
  readonly url: string
  readonly ask: Ask
  readonly headers: Readonly<Record<string, string>>
  readonly idleTimeoutMs: number
  readonly reconnectMs: number
  readonly maxEventBytes: number
  readonly clock: Clock
  readonly log: Logger
  /** Completes as soon as somebody waits for events: before, nothing is read. */
  readonly wanted$: Observable<never>
  /** Takes the events of one piece; the id is that of the last event, counting them too. */
  readonly arrived: (events: readonly (ServerEvent | IdAlone)[]) => void
}

/**
 * Reads one stream, over as many connections as it takes.
 *
 *   wanted ──► asking ──► reading ──► lost, silent, at its end ──► waits (backoff, `retry:`, `Retry-After`) ──► wanted
 *                 └─────► 204, 4xx: the end, as an error
 */
export class EventStream {
  /** Where to go on; empty for the newest. */
  lastId = ''
  /** Why there is no connection; undefined from the first answer to the next failure. */
  trouble: WeirError | undefined
  private readonly backoff: Backoff
  private retryAfterMs = 0
  private foreign = 0
  /** Whether this connection has given something. */
  private isProductive = false
  /** Whether it was told of this connection that it asks for too long a pause. */
  private hasToldPause = false

  constructor(private readonly parts: EventStreamParts) {
    this.backoff = new Backoff(parts.reconnectMs)
    this.trouble = this.unreachable('there is no answer yet')
  }

  /** Connects, and connects again, while subscribed. Errors: WEIR_SOURCE_REFUSED. */
  run(): Observable<never> {
    const { clock } = this.parts
    return defer(() => this.attempt()).pipe(
      catchError((error: unknown) => this.afterFailure(error)),
      repeat({ delay: () => timer(this.pauseMs(), clock.scheduler) }),
    )
  }

  private attempt(): Observable<never> {
    const { wanted$, ask } = this.parts
    this.isProductive = false
    this.retryAfterMs = 0
    const connection$ = defer(() => ask(this.headers())).pipe(
      this.unlessSilent(),
      concatMap((answer) => concat(this.listen(answer), of('ended'))),
      takeWhile((signal) => signal !== 'ended'),
      ignoreElements(),
    )
    return concat(wanted$, connection$)
  }

  private listen(answer: Answer): Observable<never> {
    const verdict = verdictOf(answer)
    if (verdict !== 'stream') return throwError(() => this.judge(verdict, answer))
    this.connected()
    const { wanted$, maxEventBytes } = this.parts
    const decoder = new Decoder(maxEventBytes, (ms) => this.retry(ms))
    const piece$ = defer(() => answer.piece()).pipe(this.unlessSilent())
    return concat(wanted$, piece$).pipe(
      repeat(),
      takeWhile((piece) => piece !== null),
      tap((piece) => this.took(decoder.decode(piece))),
      ignoreElements(),
    )
  }

  private judge(verdict: Exclude<ReturnType<typeof verdictOf>, 'stream'>, answer: Answer): WeirError {
    this.retryAfterMs = retryAfterMs(answer.retryAfter, answer.date, this.parts.clock.now())
    const fault = faultOf(verdict, this.parts.url, answer)
    if (verdict !== 'foreign') return fault
    return ++this.foreign < foreignAnswers ? fault : lasting(fault, this.foreign)
  }

  private connected(): void {
    const { url, log } = this.parts
    this.foreign = 0
    this.hasToldPause = false
    this.trouble = undefined
    log.info({ lastEventId: this.lastId || undefined }, `reading ${url}`)
  }

  private retry(askedMs: number): void {
    const { url, log } = this.parts
    const pauseMs = this.backoff.retry(askedMs)
    if (askedMs <= pauseMs || this.hasToldPause) return
    this.hasToldPause = true
    log.warn(
      `reading ${url}: the stream asks for ${askedMs / 1_000} s before it is asked again; it will be ${pauseMs / 1_000} s`,
    )
  }

  private took(events: readonly (ServerEvent | IdAlone)[]): void {
    if (!this.isProductive) this.backoff.succeeded()
    this.isProductive = true
    this.parts.arrived(events)
  }

  private afterFailure(cause: unknown): Observable<never> {
    const error = cause instanceof WeirError ? cause : this.unreachable(causeOf(cause))
    if (error.remedy === 'stop') {
      this.trouble = error
      return throwError(() => error)
    }
    const { log } = this.parts
    // It has given too much rather than something.
    if (cause instanceof EndlessEvent) this.isProductive = false
    // A connection that was lost after it gave something is no trouble before it can't be had again.
    if (!this.isProductive) this.trouble = error
    const line = `${describeError(error)}; connecting again`
    if (this.isProductive) log.info({ code: error.code }, line)
    else log.warn({ code: error.code }, line)
    return EMPTY
  }

  private pauseMs(): number {
    if (!this.isProductive) this.backoff.failed()
    return Math.max(this.backoff.nextMs(), this.retryAfterMs)
  }

  private headers(): Record<string, string> {
    const fixed = { accept: 'text/event-stream', 'cache-control': 'no-store', ...this.parts.headers }
    if (this.lastId === '') return fixed
    // Headers are bytes: this is how UTF-8 gets into them.
    return { ...fixed, 'last-event-id': Buffer.from(this.lastId).toString('latin1') }
  }

  private unlessSilent<T>() {
    const { idleTimeoutMs, clock } = this.parts
    return timeout<T, Observable<never>>({
      first: idleTimeoutMs,
      scheduler: clock.scheduler,
      with: () => throwError(() => this.unreachable(`nothing came for ${idleTimeoutMs / 1_000} s`)),
    })
  }

  private unreachable(why: string): WeirError {
    return new WeirError('WEIR_SOURCE_UNREACHABLE', `reading ${this.parts.url}: ${why}`)
  }
}

/** Whether a request can ask to go on after this id. */
export function isUsable(id: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no header carries them
  return id.length <= longestId && !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(id)
}
