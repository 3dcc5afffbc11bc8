import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defer, EMPTY, finalize, mergeMap, Observable, of, takeUntil } from 'rxjs'
import { z } from 'zod'
import {
  asWeirError,
  type Configurable,
  correlationHeader,
  defineSource,
  type Epoch,
  type ExactJson,
  type Header,
  type HttpReply,
  type HttpRequest,
  keepExact,
  type Origin,
  type Position,
  type Source,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  someTime,
  traceParentOf,
  usualDepth,
  type WeirError,
} from '../model/index.js'
import { Intake, type Pending, unavailable } from './http/intake.js'
import { validate } from './http/validate.js'
import { soleAssignment } from './internal/sole-partition.js'

/** Group commit: events that come so close after the first of an epoch share its commit. */
const lingerMs = 2
/** What accepted bodies may take of memory. */
const backlogBytes = 64 * 1024 * 1024
/** Of how many requests that failed together the correlation ids are logged. */
const idsLogged = 100

const schema = z.custom<StandardSchemaV1<unknown, unknown>>(
  (value) => (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value,
  'expected a schema: zod, or anything else that speaks Standard Schema',
)

const options = z
  .strictObject({
    path: z
      .string()
      .startsWith('/')
      .regex(/^[^?#:*\s]*$/, 'expected a path as it is, with no parameters: what varies goes into the body')
      .describe('The path of the route, such as `/activity`.'),
    body: schema.describe('The schema of one event. A body is one event or an array of them.'),
    maxEvents: z.number().int().min(1).default(1000).describe('How many events one request may carry.'),
    bodyLimit: z
      .number()
      .int()
      .min(1)
      .default(1_048_576)
      .describe('The largest body, in bytes; a larger one gets 413.'),
    depthLimit: z
      .number()
      .int()
      .min(1)
      .default(usualDepth)
      .describe('How deep arrays and objects may nest in a body; a deeper one gets 400.'),
    backlog: z
      .number()
      .int()
      .min(1)
      .default(10_000)
      .describe('How many events may be accepted and not yet committed; requests beyond get 503 and `Retry-After`.'),
    answerWithin: someTime.default(30_000).describe('How long a request may wait for its commit.'),
  })
  .refine(({ backlog, maxEvents }) => backlog >= maxEvents, {
    path: ['backlog'],
    message: 'expected at least `maxEvents`, or the largest request could never be taken',
  })

type Options = z.output<typeof options>

export const httpPost = defineSource({
  name: 'http.post',
  summary: 'Takes events from POST requests, and answers when they are committed.',
  options,
  replayable: false,
  epoch: { everyMs: 1000 },
  detail: ({ path }) => `POST ${path}`,
  serves: ({ path }) => [`POST ${path}`],
  build: (options, context) => new HttpTask(options, context),
})

export type HttpPostOptions<T> = Configurable<Omit<z.input<typeof options>, 'path' | 'body'>> & {
  /** The schema of one event. */
  readonly body: StandardSchemaV1<unknown, T>
}

export const http = {
  /**
   * A route that takes one event or an array of them as JSON. Values are what the schema makes of them; the timestamp
   * is the time of arrival, the key is null, and the header `weir.correlation-id` follows the event.
   *
   * Answers: 202 when the epoch that holds the events has committed, 400 with every fault and beyond `depthLimit`, 413
   * beyond `bodyLimit`, 422 with the index and the code of each event that a stage could not take while the others were
   * stored (413 where it was all of them, for their size), 503 with `Retry-After` when nothing was taken (backlog, a flow that stops), 500 when it could not be stored or
   * that is in doubt. A caller that hangs up takes nothing back.
   */
  post<T>(path: string, options: HttpPostOptions<T>): Source<T> {
    return httpPost.declare({ path, ...options })
  },
}

class HttpTask implements SourceTask {
  private readonly intake: Intake<unknown>
  private readonly topic: string

  constructor(
    private readonly options: Options,
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
        depthLimit: this.options.depthLimit,
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

  private handle(request: HttpRequest): Observable<HttpReply> {
    const { body, bytes } = request
    const { maxEvents } = this.options
    const count = Array.isArray(body) ? body.length : 1
    if (count > maxEvents)
      return of(badRequest([{ path: '', message: `expected at most ${maxEvents} events, got ${count}` }]))
    if (count === 0) return of({ status: 202, body: { accepted: 0 } })
    if (this.intake.isFull(count, bytes)) return of(unavailable('too many events wait to be stored'))
    return validate(this.options.body, body).pipe(
      mergeMap(
        (result) => ('faults' in result ? of(badRequest(result.faults)) : this.taken(request, result.events)),
        1,
      ),
    )
  }

  /** What a number can't hold goes on with the value that has it. */
  private taken(request: HttpRequest, events: readonly unknown[]): Observable<HttpReply> {
    const { body, exact } = request
    const exactOf = (index: number) => (Array.isArray(body) ? (exact as ExactJson[] | undefined)?.[index] : exact)
    const isKept = events.every((event, index) => keepExact(event, exactOf(index)))
    return isKept
      ? this.accept(request, events)
      : of(badRequest([{ path: '', message: 'expected a number that a double can hold' }]))
  }

  private accept(request: HttpRequest, events: readonly unknown[]): Observable<HttpReply> {
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

function badRequest(faults: readonly object[]): HttpReply {
  return { status: 400, body: { error: 'the body does not hold', faults } }
}

function recordHeaders({ correlationId, headers: { traceparent } }: HttpRequest): readonly Header[] {
  const correlation = { [correlationHeader]: correlationId }
  const trace = traceParentOf(traceparent)
  return trace === undefined ? [correlation] : [correlation, { traceparent: trace.text }]
}
