import type { StandardSchemaV1 } from '@standard-schema/spec'
import { mergeMap, type Observable, of } from 'rxjs'
import { type ExactJson, type HttpReply, type HttpRequest, keepExact, type SourceContext } from '../../model/index.js'
import { badRequest, HttpTask, type RouteOptions } from './task.js'
import { validate } from './validate.js'

interface PostOptions extends RouteOptions {
  readonly body: StandardSchemaV1<unknown, unknown>
  readonly depthLimit: number
}

/** Takes JSON, one event or an array of them: values are what a schema makes of them. */
export class PostTask extends HttpTask {
  private readonly schema: StandardSchemaV1<unknown, unknown>

  constructor(options: PostOptions, context: SourceContext) {
    super(options, { depthLimit: options.depthLimit }, context)
    this.schema = options.body
  }

  protected handle(request: HttpRequest): Observable<HttpReply> {
    const { body } = request
    const refusal = this.turnedAway(request, Array.isArray(body) ? body.length : 1)
    if (refusal !== undefined) return of(refusal)
    return validate(this.schema, body).pipe(
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
}
