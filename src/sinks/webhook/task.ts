import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  ignoreElements,
  mergeMap,
  type Observable,
  of,
  retry,
  throwError,
  timeout,
  timer,
} from 'rxjs'
import { causeOf } from '../../model/cause-of.js'
import {
  Batch,
  correlationOf,
  isWeirError,
  jsonOf,
  type MetricReading,
  recordFault,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  traceOf,
  WeirError,
  within,
} from '../../model/index.js'
import { retryAfterMs } from '../../model/retry-after.js'
import type { Endpoint } from './endpoint.js'
import { Ids, idOfAll } from './ids.js'
import { inLanes } from './lanes.js'
import { Meter } from './meter.js'
import type { Answer, Post } from './post.js'
import { Signature } from './signature.js'
import { faultOf, verdictOf } from './verdict.js'

const firstPauseMs = 200
const longestBackoffMs = 30_000

export interface WebhookSettings {
  readonly secret?: string | readonly string[] | undefined
  readonly id?: ((value: never, record: StreamRecord) => string) | undefined
  readonly body?: ((value: never, record: StreamRecord) => unknown) | undefined
  readonly each: 'record' | 'batch'
  readonly concurrency: number
  /** ms. */
  readonly timeout: number
  readonly retries: number
  /** ms. */
  readonly longestPause: number
  readonly maxBytes: number
}

/** What one request is to carry. */
interface Parcel {
  /** Whether it is an array, however many there are. */
  readonly isList: boolean
  readonly items: readonly Item[]
}

interface Item {
  readonly record: StreamRecord
  readonly id: string
}

/** One of a parcel as it is written. */
interface Written extends Item {
  readonly json: string
}

/** Posts records. It knows no other way than `post` to reach anybody. */
export class WebhookTask implements SinkTask {
  private readonly doing: string
  private readonly signature: Signature
  private readonly meter = new Meter()
  private fault: WeirError | undefined
  /** Until when the receiver wants to be left alone, a time of the clock's scheduler. */
  private quietUntil = 0

  constructor(
    private readonly settings: WebhookSettings,
    private readonly endpoint: Endpoint,
    private readonly post: Post,
    private readonly context: SinkContext,
  ) {
    this.doing = `posting to ${endpoint.address}`
    this.signature = new Signature([settings.secret ?? []].flat())
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    const { each, concurrency } = this.settings
    return defer(() => {
      const ids = new Ids(this.context, this.settings.id)
      return records$.pipe(
        mergeMap((record) => this.parcels(record, ids), 1),
        inLanes(
          each === 'batch' ? 1 : concurrency,
          ({ items: [first] }) => first?.record.key ?? null,
          (parcel) => this.send(parcel),
        ),
        ignoreElements(),
      )
    })
  }

  trouble(): WeirError | undefined {
    return this.fault
  }

  metrics(): readonly MetricReading[] {
    return this.meter.readings()
  }

  /** What goes out for a record, in requests of their own. */
  private parcels(record: StreamRecord, ids: Ids): Parcel[] {
    const isList = this.settings.each === 'batch'
    const members = record.value instanceof Batch ? record.value.records : [record]
    const items = members.flatMap((member) => this.trying(member, () => ({ record: member, id: ids.of(member) })))
    if (isList) return items.length === 0 ? [] : [{ isList, items }]
    return items.map((item) => ({ isList, items: [item] }))
  }

  private send({ isList, items }: Parcel): Observable<never> {
    return defer(() => {
      const written = items.flatMap((item) => this.trying(item.record, () => ({ ...item, json: this.jsonOf(item) })))
      return written.length === 0 ? EMPTY : this.sendWritten(written, isList)
    })
  }

  private sendWritten(written: readonly Written[], isList: boolean): Observable<never> {
    const [first] = written as readonly [Written, ...Written[]]
    const body = Buffer.from(isList ? `[${written.map(({ json }) => json).join(',')}]` : first.json)
    const { maxBytes } = this.settings
    if (body.length > maxBytes) {
      const message = `${this.doing}: its body of ${body.length} bytes is larger than ${maxBytes}`
      const hint = 'Post less of it, by `body`, or raise `maxBytes` if the receiver takes that much.'
      return this.refused(written, isList, new WeirError('WEIR_RECORD_TOO_LARGE', message, { hint }))
    }
    const id = idOfAll(written.map((item) => item.id))
    return this.delivered(id, body, first.record).pipe(
      catchError((error: unknown) => {
        if (isWeirError(error) && error.culprit === 'record') return this.refused(written, isList, error)
        return throwError(() => within(error, first.record))
      }),
    )
  }

  /** Tries each half, down to the record that is at fault. */
  private refused(written: readonly Written[], isList: boolean, error: WeirError): Observable<never> {
    const [first] = written
    if (first === undefined) return EMPTY
    const middle = Math.ceil(written.length / 2)
    const halves = [written.slice(0, middle), written.slice(middle)]
    if (written.length > 1) return concat(...halves.map((half) => defer(() => this.sendWritten(half, isList))))
    return defer(() => {
      this.context.reject(first.record, error)
      return EMPTY
    })
  }

  /** Tries until it was taken. Errors: the refusal of the receiver, and what failed too often. */
  private delivered(id: string, body: Buffer, record: StreamRecord): Observable<never> {
    const { retries } = this.settings
    return defer(() => this.attempt(id, body, record)).pipe(
      retry({
        delay: (error: unknown, tries) => {
          if (!(error instanceof Failed)) return throwError(() => error)
          const { fault, askedMs } = error
          this.fault = fault
          if (tries > retries) return throwError(() => error)
          const waitMs = Math.max(askedMs, backoffMs(tries))
          this.context.log.warn(`${fault.message}; trying again in ${waitMs} ms`)
          return timer(waitMs, this.context.clock.scheduler)
        },
      }),
      catchError((error: unknown) => throwError(() => (error instanceof Failed ? error.fault : error))),
      concatMap((answer) => {
        this.fault = undefined
        if (verdictOf(answer.status) === 'taken') return EMPTY
        return throwError(() => faultOf(this.doing, answer, this.endpoint.excerpt(answer.text)))
      }),
    )
  }

  /** Emits an answer that another try would not change. Errors with `Failed`. */
  private attempt(id: string, body: Buffer, record: StreamRecord): Observable<Answer> {
    const { clock } = this.context
    const post$ = defer(() =>
      this.post({ ...carried(record), ...this.signature.headersOf(id, body, clock.now()) }, body),
    )
    return this.quiet(
      post$.pipe(
        timeout({
          first: this.settings.timeout,
          scheduler: clock.scheduler,
          with: () => throwError(() => new Error(`it did not answer for ${this.settings.timeout} ms`)),
        }),
        catchError((error: unknown) => {
          this.meter.answered(undefined)
          return throwError(
            () => new Failed(new WeirError('WEIR_SINK_UNREACHABLE', `${this.doing}: ${causeOf(error)}`)),
          )
        }),
        concatMap((answer) => {
          this.meter.answered(answer.status)
          return verdictOf(answer.status) === 'later' ? throwError(() => this.failed(answer)) : of(answer)
        }),
      ),
    )
  }

  /** Begins when the receiver wants to hear again: others may have been told to wait meanwhile. */
  private quiet<T>(then$: Observable<T>): Observable<T> {
    const { scheduler } = this.context.clock
    return defer(() => {
      const waitMs = this.quietUntil - scheduler.now()
      return waitMs <= 0 ? then$ : timer(waitMs, scheduler).pipe(concatMap(() => this.quiet(then$)))
    })
  }

  private failed(answer: Answer): Failed {
    const { clock } = this.context
    const saidMs = retryAfterMs(answer.retryAfter, answer.date, clock.now())
    const askedMs = Math.min(saidMs, this.settings.longestPause)
    this.quietUntil = Math.max(this.quietUntil, clock.scheduler.now() + askedMs)
    return new Failed(faultOf(this.doing, answer, this.endpoint.excerpt(answer.text)), askedMs)
  }

  private jsonOf({ record }: Item): string {
    const { body } = this.settings
    return jsonOf(body === undefined ? record.value : body(record.value as never, record))
  }

  /** What can be made of a record; nothing where it is its fault that nothing can. */
  private trying<T>(record: StreamRecord, make: () => T): T[] {
    try {
      return [make()]
    } catch (error) {
      this.context.reject(record, recordFault(error, this.doing))
      return []
    }
  }
}

/** What passes, and how long the receiver asks to wait, ms. */
class Failed extends Error {
  constructor(
    readonly fault: WeirError,
    readonly askedMs = 0,
  ) {
    super(fault.message)
  }
}

/** Up to half as long again by chance, so that those who wait do not all come at once. */
function backoffMs(tries: number): number {
  return Math.round(Math.min(longestBackoffMs, firstPauseMs * 2 ** (tries - 1)) * (1 + Math.random() / 2))
}

/** What goes with a record wherever it goes. */
function carried(record: StreamRecord): Readonly<Record<string, string>> {
  const { text: traceparent, state: tracestate } = traceOf(record) ?? {}
  const correlationId = correlationOf(record)
  return {
    'content-type': 'application/json',
    'user-agent': 'weir',
    ...(/^[\x21-\x7e]{1,128}$/.test(correlationId) ? { 'x-correlation-id': correlationId } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  }
}
