import { randomBytes } from 'node:crypto'
import { defer, EMPTY, finalize, Observable, of, takeUntil } from 'rxjs'
import { z } from 'zod'
import {
  asWeirError,
  correlationHeader,
  type Epoch,
  type Header,
  type HttpReply,
  type HttpRequest,
  type HttpRoute,
  type Origin,
  type Position,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  someTime,
  traceHeaders,
  traceParentOf,
  traceStateOf,
  type WeirError,
} from '../../model/index.js'
import { soleAssignment } from '../internal/sole-partition.js'
import { Intake, type Pending, unavailable } from './intake.js'

/** Group commit: events that come so close after the first of an epoch share its commit. */
const lingerMs = 2
/** What accepted bodies may take of memory. */
const backlogBytes = 64 * 1024 * 1024
/** Of how many requests that failed together the correlation ids are logged. */
const idsLogged = 100

/** What every route that takes events can be told. */
export const routeOptions = {
  path: z
    .string()
    .startsWith('/')
    .regex(/^[^?#:*\s]*$/, 'expected a path as it is, with no parameters: what varies goes into the body')
    .describe('The path of the route, such as `/activity`.'),
  maxEvents: z.number().int().min(1).default(1000).describe('How many events one request may carry.'),
  bodyLimit: z.number().int().min(1).default(1_048_576).describe('The largest body, in bytes; a larger one gets 413.'),
  backlog: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .describe('How many events may be accepted and not yet committed; requests beyond get 503 and `Retry-After`.'),
  answerWithin: someTime.default(30_000).describe('How long a request may wait for its commit.'),
}

export interface RouteOptions {
  readonly path: string
  readonly maxEvents: number
  readonly bodyLimit: number
  readonly backlog: number
  /** ms. */
  readonly answerWithin: number
}

/** Whether the largest request has room. */
export function hasRoom({ backlog, maxEvents }: RouteOptions): boolean {
  return backlog >= maxEvents
}

export const noRoom = {
  path: ['backlog'],
  message: 'expected at least `maxEvents`, or the largest request could never be taken',
}

/**
 * A route that takes events, group by group: requests wait for an epoch, and are answered when it has committed. What a
 * request holds, a route of each kind says.
 */
export abstract class HttpTask implements SourceTask {
  private readonly intake: Intake<unknown>
  private readonly topic: string

  constructor(
    private readonly options: RouteOptions,
    private readonly body: Pick<HttpRoute, 'takes' | 'depthLimit'>,
    private readonly context: SourceContext,
  ) {
    this.intake = new Intake({ events: options.backlog, bytes: Math.max(backlogBytes, 4 * options.bodyLimit) })
    this.topic = `http:${options.path}`
  }

  readonly lifetime$ = defer(() =>
    this.context.http
      .serve({
        method: 'POST',
        path: this.options.path,
        bodyLimit: this.options.bodyLimit,
        ...this.body,
        handle: (request) => this.handle(request),
      })
      .pipe(finalize(() => this.intake.close())),
  )

  readonly assignments$ = defer(() =>
    soleAssignment({ topic: this.topic, partition: 0 }, (positions) => this.seek(positions)),
  )

  read(epoch: Epoch): Observable<StreamRecord> {
    return new Observable<StreamRecord>((subscriber) => {
      let taken = 0
      const fits = (events: number) => events <= epoch.room() || (taken === 0 && epoch.room() > 0)
      const pump = () => {
        for (let events = this.intake.peek(); events !== undefined; events = this.intake.peek()) {
          if (subscriber.closed) return
          if (!fits(events)) return subscriber.complete()
          if (taken === 0) subscriber.add(this.context.clock.scheduler.schedule(() => subscriber.complete(), lingerMs))
          taken += events
          this.emit(epoch, (record) => subscriber.next(record))
        }
        if (epoch.room() <= 0) subscriber.complete()
      }
      subscriber.add(() => this.intake.onArrival(undefined))
      this.intake.onArrival(pump)
      pump()
    }).pipe(takeUntil(epoch.cut$))
  }

  positions(): readonly Position[] {
    return [{ topic: this.topic, partition: 0, offset: this.intake.offset }]
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return this.seek(positions)
  }

  rejected({ topic, offset }: Origin, error: WeirError): void {
    if (topic === this.topic) this.intake.reject(offset, error)
  }

  failed(error: unknown): void {
    const answered = this.intake.fail(error)
    if (answered.length === 0) return
    const correlationIds = answered.slice(0, idsLogged).map(({ correlationId }) => correlationId)
    const { code } = asWeirError(error)
    this.context.log.warn({ code, correlationIds }, `${answered.length} requests were answered with 500`)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      for (const { topic, offset } of positions) if (topic === this.topic) this.intake.commit(offset)
      return EMPTY
    })
  }

  ends() {
    const { topic, intake } = this
    return defer(() => of([{ topic, partition: 0, offset: intake.offset, end: intake.offset + intake.waitingEvents }]))
  }

  protected abstract handle(request: HttpRequest): Observable<HttpReply>

  /** Why so many events of a request can't be taken at all: there are none, or too many of them. */
  protected turnedAway({ bytes, brought }: HttpRequest, count: number): HttpReply | undefined {
    const { maxEvents } = this.options
    brought?.(count)
    if (count > maxEvents)
      return badRequest([{ path: '', message: `expected at most ${maxEvents} events, got ${count}` }])
    if (count === 0) return { status: 202, body: { accepted: 0 } }
    return this.intake.isFull(count, bytes) ? unavailable('too many events wait to be stored') : undefined
  }

  private seek(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      for (const { topic, offset } of positions) if (topic === this.topic) this.intake.offset = offset
      return EMPTY
    })
  }

  private emit(epoch: Epoch, next: (record: StreamRecord) => void): void {
    let offset = this.intake.offset
    const request = this.intake.emit()
    if (request === undefined) return
    const { events, timestamp, headers, bytes } = request
    for (const value of events) {
      next(new StreamRecord(null, value, timestamp, headers, { topic: this.topic, partition: 0, offset: offset++ }))
    }
    // Afterwards, for what fills the epoch also ends it.
    epoch.take(events.length, bytes)
  }

  /** Has the events stored, and answers when they are. */
  protected accept(request: HttpRequest, events: readonly unknown[]): Observable<HttpReply> {
    const { clock } = this.context
    return new Observable<HttpReply>((subscriber) => {
      const pending: Pending<unknown> = {
        events,
        headers: recordHeaders(request),
        correlationId: request.correlationId,
        timestamp: clock.now(),
        bytes: request.bytes,
        answer: (reply) => {
          subscriber.next(reply)
          subscriber.complete()
        },
      }
      const giveUp = () => pending.answer(this.overdue(pending))
      subscriber.add(clock.scheduler.schedule(giveUp, this.options.answerWithin))
      this.intake.accept(pending)
    })
  }

  private overdue(pending: Pending<unknown>): HttpReply {
    if (this.intake.withdraw(pending)) return unavailable('the flow took too long to take these events')
    const error = 'it is not known whether these events were stored: the commit takes too long'
    return { status: 500, body: { error, correlationId: pending.correlationId } }
  }
}

/** All that is wrong with a body of which nothing is taken. */
export function badRequest(faults: readonly object[]): HttpReply {
  return { status: 400, body: { error: 'the body does not hold', faults } }
}

function recordHeaders({ correlationId, headers: { traceparent, tracestate } }: HttpRequest): readonly Header[] {
  const correlation = { [correlationHeader]: correlationId }
  if (traceparent === undefined) return [correlation]
  const parent = traceParentOf(traceparent)
  // A trace that can't be told is begun anew, and what vendors have to say of the other is not for this one.
  if (parent === undefined) return [correlation, { traceparent: newTrace() }]
  return [correlation, ...traceHeaders({ ...parent, state: traceStateOf(tracestate) })]
}

/** The `traceparent` of a trace that nobody has sampled yet. */
function newTrace(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`
}
