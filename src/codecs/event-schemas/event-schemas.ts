import { concatMap, from, map, type Observable, of, share, tap, toArray } from 'rxjs'
import { z } from 'zod'
import { type Connection, defineConnection } from '../../model/index.js'
import { registryLogin, SchemaRegistry } from '../schema-registry.js'
import { compiled, type EventVersion } from './compiled.js'
import type { EventSchema } from './event-schema.js'
import { readSchemaFolder } from './folder.js'
import { readRegistered } from './registered.js'

const options = z.strictObject({
  ...registryLogin,
  from: z
    .string()
    .min(1)
    .default('schemas')
    .describe(
      'A folder of `<event type>/v<version>.json`, or the URL of a schema registry whose subjects are event types.',
    ),
})

type Options = z.output<typeof options>

/** Declares where the JSON Schemas of event types are: a folder, or a schema registry. */
export const eventSchemas = defineConnection({
  kind: 'eventSchemas',
  summary: 'The schemas of event types: a folder, or a schema registry.',
  options,
  open: (settings): EventSchemas =>
    isUrl(settings.from) ? new RegistrySchemas(settings) : new FolderSchemas(settings.from),
})

/** The versions of event types. */
export interface EventSchemas extends Connection {
  /** The versions of a type as far as they are known, oldest first; undefined where nobody asked yet. */
  known(eventType: string): readonly EventVersion[] | undefined
  /**
   * The versions of a type that there are by now, none where there is no such type.
   * Errors: WEIR_CONFIG_INVALID of schemas that don't hold, WEIR_REGISTRY_UNREACHABLE.
   */
  versions(eventType: string): Observable<readonly EventVersion[]>
}

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text)
}

class FolderSchemas implements EventSchemas {
  readonly address: string
  private types: ReadonlyMap<string, readonly EventSchema[]> | undefined
  private readonly compiled = new Map<string, readonly EventVersion[]>()

  constructor(folder: string) {
    this.address = folder
  }

  known(eventType: string): readonly EventVersion[] {
    let versions = this.compiled.get(eventType)
    if (versions === undefined) {
      this.types ??= readSchemaFolder(this.address)
      versions = (this.types.get(eventType) ?? []).filter(({ type }) => type === 'JSON').map(compiled)
      if (versions.length > 0) this.compiled.set(eventType, versions)
    }
    return versions
  }

  versions(eventType: string): Observable<readonly EventVersion[]> {
    return of(this.known(eventType))
  }

  close(): Promise<void> {
    this.compiled.clear()
    return Promise.resolve()
  }
}

/** How long a registry is not asked again for the versions of a type, ms. */
const freshForMs = 10_000
/** How many event types that it did not have are remembered. */
const mostUnknown = 1_000

interface Asked {
  readonly versions: readonly EventVersion[]
  /** By `performance.now()`. */
  readonly at: number
}

class RegistrySchemas implements EventSchemas {
  readonly address: string
  private readonly registry: SchemaRegistry
  private readonly asked = new Map<string, Asked>()
  private readonly asking = new Map<string, Observable<readonly EventVersion[]>>()

  constructor({ from: url, ...settings }: Options) {
    this.registry = new SchemaRegistry({ ...settings, url })
    this.address = this.registry.address
  }

  known(eventType: string): readonly EventVersion[] | undefined {
    return this.asked.get(eventType)?.versions
  }

  versions(eventType: string): Observable<readonly EventVersion[]> {
    const known = this.asked.get(eventType)
    if (known !== undefined && performance.now() < known.at + freshForMs) return of(known.versions)
    let asking$ = this.asking.get(eventType)
    if (asking$ === undefined) {
      asking$ = this.ask(eventType).pipe(
        tap({ finalize: () => this.asking.delete(eventType), next: (versions) => this.note(eventType, versions) }),
        share(),
      )
      this.asking.set(eventType, asking$)
    }
    return asking$
  }

  private ask(eventType: string): Observable<readonly EventVersion[]> {
    const known = new Map(this.known(eventType)?.map((version) => [version.version, version]))
    return this.registry.versionsOf(eventType).pipe(
      concatMap((versions) =>
        from(versions).pipe(
          concatMap((version) => {
            const old = known.get(version)
            if (old !== undefined) return of([old])
            return readRegistered(this.registry, eventType, version).pipe(
              map((schema) => (schema.type === 'JSON' ? [compiled(schema)] : [])),
            )
          }),
          toArray(),
        ),
      ),
      map((versions) => versions.flat()),
    )
  }

  private note(eventType: string, versions: readonly EventVersion[]): void {
    if (versions.length === 0 && this.asked.size >= mostUnknown) this.asked.clear()
    this.asked.set(eventType, { versions, at: performance.now() })
  }

  close(): Promise<void> {
    return this.registry.close()
  }
}
