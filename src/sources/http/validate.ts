import type { StandardSchemaV1 } from '@standard-schema/spec'
import { from, map, type Observable, of } from 'rxjs'
import { issuePath } from '../../codecs/issue-path.js'

/** What is wrong with one field of a request's body. */
export interface Fault {
  /** Which event, when the body is an array. */
  readonly index?: number
  /** The field, as `metadata.page_url`; empty for the event as a whole. */
  readonly path: string
  readonly message: string
}

/** The events of a body, or everything that is wrong with them. */
export type Validated<T> = { readonly events: readonly T[] } | { readonly faults: readonly Fault[] }

/** Checks every field of every event. `body` is one event or an array of them. */
export function validate<T>(schema: StandardSchemaV1<unknown, T>, body: unknown): Observable<Validated<T>> {
  const isArray = Array.isArray(body)
  const values: readonly unknown[] = isArray ? body : [body]
  const results = values.map((value) => schema['~standard'].validate(value))
  return settled(results).pipe(map((all) => collect(all, isArray)))
}

function settled<R>(results: readonly (R | Promise<R>)[]): Observable<readonly R[]> {
  const isAsync = results.some((result) => result instanceof Promise)
  return isAsync ? from(Promise.all(results)) : of(results as readonly R[])
}

function collect<T>(results: readonly StandardSchemaV1.Result<T>[], isArray: boolean): Validated<T> {
  const events: T[] = []
  const faults: Fault[] = []
  for (const [index, result] of results.entries()) {
    if (result.issues === undefined) events.push(result.value)
    else
      faults.push(
        ...result.issues.map((issue) => ({
          ...(isArray ? { index } : {}),
          path: issuePath(issue),
          message: issue.message,
        })),
      )
  }
  return faults.length > 0 ? { faults } : { events }
}
