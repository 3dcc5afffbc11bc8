import { asWeirError, type ErrorCode, type Header, type HttpReply, type WeirError } from '../../model/index.js'

/** A request whose events were accepted, and the caller who waits until they are committed. */
export interface Pending<T> {
  readonly events: readonly T[]
  readonly headers: readonly Header[]
  readonly correlationId: string
  /** When it came, ms. */
  readonly timestamp: number
  readonly bytes: number
  /** Answers the caller; only the first answer counts. */
  answer(reply: HttpReply): void
}

export interface IntakeLimits {
  /** How many events may be accepted and not yet committed. */
  readonly events: number
  /** Their bodies' bytes together. */
  readonly bytes: number
}

/** How many tries of the task a request waits for before it is answered with 500. */
const triesPerRequest = 3

interface Waiting<T> {
  readonly request: Pending<T>
  tries: number
  /** Whether an epoch had it that failed: nobody knows what became of it. */
  readonly isDoubtful: boolean
}

const inDoubt = 'it is not known whether these events were stored'

/**
 * The requests of one route on their way through epochs:
 *
 *   accept ──► waiting ──► emitted ──► committed: 202, or 4xx for what a stage could not take of it
 *               │   ▲          ├─────► failed:    500, for nobody knows whether the sink has it
 *               │   └──────────┘ when the next try looks for the event that the epoch was refused for
 *               └────────────────────► 500 after three failed tries of the task, 503 when the flow ends
 */
export class Intake<T> {
  private waiting: Waiting<T>[] = []
  private emitted: { readonly request: Pending<T>; readonly nextOffset: number }[] = []
  /** Why stages could not take events of the running epoch, by offset. */
  private readonly rejected = new Map<number, WeirError>()
  private events = 0
  private bytes = 0
  private wake: (() => void) | undefined

  /** The offset of the next event that is emitted. */
  offset = 0

  constructor(private readonly limits: IntakeLimits) {}

  get waitingEvents(): number {
    return this.waiting.reduce((sum, { request }) => sum + request.events.length, 0)
  }

  /** Whether that many more events have to be turned away. */
  isFull(events: number, bytes: number): boolean {
    return this.events + events > this.limits.events || this.bytes + bytes > this.limits.bytes
  }

  accept(request: Pending<T>): void {
    this.waiting.push({ request, tries: 0, isDoubtful: false })
    this.count(request, 1)
    this.wake?.()
  }

  /** Calls back whenever a request comes, until told otherwise by `undefined`. */
  onArrival(wake: (() => void) | undefined): void {
    this.wake = wake
  }

  /** How many events the next request has; undefined when none waits. */
  peek(): number | undefined {
    return this.waiting[0]?.request.events.length
  }

  /** Takes the next request into the running epoch. */
  emit(): Pending<T> | undefined {
    const request = this.waiting.shift()?.request
    if (request === undefined) return undefined
    this.offset += request.events.length
    this.emitted.push({ request, nextOffset: this.offset })
    return request
  }

  /** A stage could not take an event; those beside it go on. */
  reject(offset: number, error: WeirError): void {
    this.rejected.set(offset, error)
  }

  /** The events before this offset are durable, but for those that were rejected. */
  commit(offset: number): void {
    const kept = this.emitted.filter(({ nextOffset }) => nextOffset > offset)
    for (const { request, nextOffset } of this.emitted) {
      if (nextOffset <= offset) this.finish(request, this.outcome(request, nextOffset - request.events.length))
    }
    this.emitted = kept
    if (kept.length === 0) this.rejected.clear()
  }

  /**
   * A try of the task has failed: what was emitted is in doubt, what waits goes on waiting, though not for ever. Returns the
   * requests that were answered so. Nobody is while the next try goes another way about it, to find the one event that was
   * refused: it has the same events.
   */
  fail(error: unknown): readonly Pending<T>[] {
    const { code, atOnce } = asWeirError(error)
    if (atOnce) {
      this.takeBack()
      return []
    }
    const doubtful = this.emitted.map(({ request }) => request)
    this.abandon(inDoubt, code)
    for (const entry of this.waiting) entry.tries++
    const given = this.waiting.filter(({ tries }) => tries >= triesPerRequest)
    this.waiting = this.waiting.filter(({ tries }) => tries < triesPerRequest)
    for (const { request } of given) this.fault(request, `not stored after ${triesPerRequest} tries`, code)
    return [...doubtful, ...given.map(({ request }) => request)]
  }

  /** A caller has waited long enough: takes a request back that no epoch has taken. Says whether it could. */
  withdraw(request: Pending<T>): boolean {
    const index = this.waiting.findIndex((entry) => entry.request === request && !entry.isDoubtful)
    if (index === -1) return false
    this.waiting.splice(index, 1)
    this.count(request, -1)
    return true
  }

  /** The flow has ended. */
  close(): void {
    this.abandon('the flow stopped before these events were known to be stored')
    for (const { request, isDoubtful } of this.waiting.splice(0)) {
      if (isDoubtful) this.fault(request, inDoubt)
      else this.finish(request, unavailable('the flow has stopped'))
    }
  }

  private takeBack(): void {
    this.rejected.clear()
    this.waiting.unshift(...this.emitted.splice(0).map(({ request }) => ({ request, tries: 0, isDoubtful: true })))
  }

  private outcome({ events, correlationId }: Pending<T>, offset: number): HttpReply {
    const faults = events.flatMap((_, index) => {
      const error = this.rejected.get(offset + index)
      return error === undefined ? [] : [{ index, code: error.code, isTooLarge: error.isTooLarge }]
    })
    const accepted = events.length - faults.length
    if (faults.length === 0) return { status: 202, body: { accepted } }
    const status = accepted === 0 && faults.every(({ isTooLarge }) => isTooLarge) ? 413 : 422
    const rejected = faults.map(({ index, code }) => ({ index, code }))
    return { status, body: { error: 'some events could not be taken', accepted, rejected, correlationId } }
  }

  private abandon(reason: string, code?: ErrorCode): void {
    this.rejected.clear()
    for (const { request } of this.emitted.splice(0)) this.fault(request, reason, code)
  }

  /** What went wrong is for the log; the caller gets what finds it there. */
  private fault(request: Pending<T>, error: string, code?: ErrorCode): void {
    const { correlationId } = request
    this.finish(request, { status: 500, body: { error, ...(code === undefined ? {} : { code }), correlationId } })
  }

  private finish(request: Pending<T>, reply: HttpReply): void {
    this.count(request, -1)
    request.answer(reply)
  }

  private count({ events, bytes }: Pending<T>, sign: 1 | -1): void {
    this.events += sign * events.length
    this.bytes += sign * bytes
  }
}

/** "Not now": nothing of the request was taken. */
export function unavailable(error: string): HttpReply {
  return { status: 503, headers: { 'retry-after': '1' }, body: { error } }
}
