import { concatMap, from, map, type Observable, of, switchMap, throwError, toArray } from 'rxjs'
import { WeirError } from '../../model/index.js'
import type { SchemaReference, SchemaRegistry, SchemaType } from '../schema-registry.js'
import type { EventSchema } from './event-schema.js'

/**
 * Reads a version of a subject, with all that it refers to.
 * Errors: WEIR_REGISTRY_UNREACHABLE, WEIR_CONFIG_INVALID when the registry does not have what it refers to.
 */
export function readRegistered(
  registry: SchemaRegistry,
  subject: string,
  version: number,
  above: readonly string[] = [],
): Observable<EventSchema> {
  const own = `${subject}/v${version}`
  return registry.version(subject, version).pipe(
    switchMap((found) => {
      if (found === undefined || above.includes(own)) {
        const what = found === undefined ? 'the registry does not have it' : 'it refers to itself'
        return throwError(() => new WeirError('WEIR_CONFIG_INVALID', `reading the schema ${own}: ${what}`))
      }
      const { schema: text, type, references } = found
      return readAll(registry, references, [...above, own]).pipe(
        map((read) => ({ eventType: subject, version, type: type as SchemaType, text, references: read })),
      )
    }),
  )
}

function readAll(
  registry: SchemaRegistry,
  references: readonly SchemaReference[],
  above: readonly string[],
): Observable<ReadonlyMap<string, EventSchema>> {
  if (references.length === 0) return of(new Map())
  return from(references).pipe(
    concatMap(({ name, subject, version }) =>
      readRegistered(registry, subject, version, above).pipe(map((schema) => [name, schema] as const)),
    ),
    toArray(),
    map((read) => new Map(read)),
  )
}
