import { map, type Observable, of } from 'rxjs'
import {
  type Batched,
  type CloudEvent,
  CloudEventError,
  type CloudEventFault,
  type DataOptions,
  httpHeaders,
  isUnknownFormat,
  type Member,
  MessageReader,
} from '../../codecs/cloudevents/index.js'
import { describeError, type HttpReply, type HttpRequest, isWeirError, type SourceContext } from '../../model/index.js'
import { badRequest, HttpTask, type RouteOptions } from './task.js'

/** An event that was not stored, and why. */
interface Rejected {
  readonly index: number
  readonly code: string
  readonly faults?: readonly CloudEventFault[]
}

/** Takes CloudEvents by their HTTP binding. */
export class CloudEventsTask extends HttpTask {
  private readonly reader: MessageReader

  constructor(options: RouteOptions & DataOptions, context: SourceContext) {
    super(options, { takes: 'bytes' }, context)
    this.reader = new MessageReader(options)
  }

  protected handle(request: HttpRequest): Observable<HttpReply> {
    const headers = httpHeaders(request.rawHeaders)
    let read: CloudEvent | Batched
    try {
      read = this.reader.read(request.body, headers)
    } catch (error) {
      return of(refusal(error, headers.contentType))
    }
    const turnedAway = this.turnedAway(request, 'members' in read ? read.members.length : 1)
    if (turnedAway !== undefined) return of(turnedAway)
    return 'members' in read ? this.acceptBatch(request, read.members) : this.accept(request, [read])
  }

  /** Stores the events of a batch that are some, and tells of the others. */
  private acceptBatch(request: HttpRequest, members: readonly Member[]): Observable<HttpReply> {
    const events: CloudEvent[] = []
    const places: number[] = []
    const rejected: Rejected[] = []
    for (const [index, { event }] of members.entries()) {
      if (event instanceof CloudEventError) rejected.push({ index, code: event.code, faults: event.faults })
      else {
        events.push(event)
        places.push(index)
      }
    }
    if (rejected.length === 0) return this.accept(request, events)
    if (events.length === 0) return of(badRequest(rejected.flatMap(faultsOf)))
    return this.accept(request, events).pipe(map((reply) => together(reply, rejected, places, request.correlationId)))
  }
}

function refusal(error: unknown, contentType: string | undefined): HttpReply {
  if (error instanceof CloudEventError) return badRequest(error.faults)
  if (!isWeirError(error)) throw error
  return { status: isUnknownFormat(contentType) ? 415 : 400, body: { error: describeError(error) } }
}

function faultsOf({ index, faults }: Rejected): object[] {
  return faults?.map((fault) => ({ index, ...fault })) ?? []
}

/** What became of the events that were taken, with those that were not; `places` are the indexes in the batch of the former. */
function together(
  reply: HttpReply,
  rejected: readonly Rejected[],
  places: readonly number[],
  correlationId: string,
): HttpReply {
  if (reply.status >= 500) return reply
  const stored = reply.body as { accepted?: number; rejected?: readonly Rejected[] }
  const later = stored.rejected?.map((each) => ({ ...each, index: places[each.index] as number })) ?? []
  const all = [...rejected, ...later].sort((one, other) => one.index - other.index)
  const { accepted = 0 } = stored
  return { status: 422, body: { error: 'some events could not be taken', accepted, rejected: all, correlationId } }
}
