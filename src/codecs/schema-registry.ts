import { Agent } from 'node:https'
import type * as Registry from '@confluentinc/schemaregistry'
import type { Client, SchemaInfo } from '@confluentinc/schemaregistry'
import { catchError, defer, finalize, map, type Observable, of, retry, share, switchMap, tap, throwError } from 'rxjs'
import { z } from 'zod'
import { type Connection, clientDuration, defineConnection, messageOf, WeirError } from '../model/index.js'
import { loadPeer } from '../model/optional-peer.js'

const peer = '@confluentinc/schemaregistry'

/** How to come into a registry. */
export const registryLogin = {
  user: z.string().optional().describe('The user, where the registry asks for one.'),
  password: z.string().optional().describe('The password of the user.'),
  ssl: z
    .strictObject({
      ca: z.string().optional().describe('The certificate authorities to trust, in PEM.'),
      cert: z.string().optional().describe("This client's certificate, in PEM."),
      key: z.string().optional().describe("This client's key, in PEM."),
    })
    .optional()
    .describe('Certificates of your own, where `url` says https.'),
  timeout: clientDuration.default(5_000).describe('How long the registry may take to answer.'),
}

const options = z.strictObject({
  url: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe('Where the registry is. Empty: there is none, and values are plain JSON.'),
  ...registryLogin,
})

type Options = z.output<typeof options>

/** The formats that a registry tells apart. */
export type SchemaType = 'AVRO' | 'JSON'

export interface RegisteredSchema {
  readonly type: string
  readonly schema: string
}

/** How a schema refers to another one. */
export interface SchemaReference {
  /** What it calls it. */
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** One version of a subject. */
export interface RegisteredVersion extends RegisteredSchema {
  readonly id: number
  readonly version: number
  readonly references: readonly SchemaReference[]
}

/** Declares a schema registry that speaks the REST interface of Confluent's; without a `url` there is none. */
export const schemaRegistry = defineConnection({
  kind: 'schemaRegistry',
  summary: 'A schema registry, or none: then values are plain JSON.',
  options,
  open: (settings) => new SchemaRegistry(settings),
})

/** How long a registry is not asked again for a schema that it did not have, ms. */
const unknownForMs = 10_000
/** How many ids that it did not have are remembered. */
const mostUnknown = 1_000

/** One registry. What it has once answered is never asked again, and what it has not, not for some seconds. */
export class SchemaRegistry implements Connection {
  readonly address: string
  /** Whether there is a registry at all. */
  readonly isNamed: boolean
  private client: Client | undefined
  private readonly asking = new Map<number, Observable<RegisteredSchema>>()
  /** Until when ids count as unknown, by `performance.now()`. */
  private readonly unknown = new Map<number, number>()

  constructor(private readonly settings: Options) {
    this.isNamed = settings.url !== ''
    this.address = this.isNamed ? withoutSecrets(settings.url) : 'no schema registry'
  }

  /**
   * The schema of an id.
   * Errors: WEIR_RECORD_MALFORMED when the registry has none, WEIR_REGISTRY_UNREACHABLE.
   */
  schema(id: number): Observable<RegisteredSchema> {
    return defer(() => {
      if (performance.now() < (this.unknown.get(id) ?? 0)) return throwError(() => unknownId(id))
      let asking$ = this.asking.get(id)
      if (asking$ === undefined) this.asking.set(id, (asking$ = this.ask(id)))
      return asking$
    })
  }

  private ask(id: number): Observable<RegisteredSchema> {
    const doing = `reading schema ${id}`
    return defer(() => this.opened.getBySubjectAndId('', id)).pipe(
      map(({ schema, schemaType = 'AVRO' }) => ({ schema, type: schemaType })),
      catchError((error: unknown) =>
        throwError(() => (statusOf(error) === 404 ? unknownId(id) : this.fault(error, doing))),
      ),
      tap({ error: (error: unknown) => this.note(id, error) }),
      finalize(() => this.asking.delete(id)),
      share(),
    )
  }

  /**
   * The id of a schema under a subject; `register` adds it where it is missing.
   * Errors: WEIR_CONFIG_INVALID when the registry refuses it or does not have it, WEIR_REGISTRY_UNREACHABLE.
   */
  id(
    subject: string,
    type: SchemaType,
    schema: string,
    register: boolean,
    references: readonly SchemaReference[] = [],
  ): Observable<number> {
    const doing = `${register ? 'registering' : 'looking up'} the schema of subject '${subject}'`
    const info = infoOf(type, schema, references)
    return defer(() =>
      register ? this.opened.register(subject, info, false) : this.opened.getId(subject, info, false),
    ).pipe(
      // Apicurio answers 409 as well to whoever comes second of two that begin a subject at once.
      retry({ count: 2, delay: (error: unknown) => (statusOf(error) === 409 ? of(0) : throwError(() => error)) }),
      catchError((error: unknown) => {
        const isRefused = [404, 409, 422].includes(statusOf(error) ?? 0)
        return throwError(() => (isRefused ? refused(error, doing) : this.fault(error, doing)))
      }),
    )
  }

  /** Where a schema is under a subject; undefined where it isn't. Errors: WEIR_REGISTRY_UNREACHABLE. */
  lookUp(
    subject: string,
    type: SchemaType,
    schema: string,
    references: readonly SchemaReference[] = [],
  ): Observable<{ readonly id: number; readonly version: number } | undefined> {
    const ask = () => this.opened.getIdFullResponse(subject, infoOf(type, schema, references), false)
    return this.read(`looking up the schema of subject '${subject}'`, ask).pipe(
      map((found) => (found?.version === undefined ? undefined : { id: found.id ?? 0, version: found.version })),
    )
  }

  /** All subjects, by name. Errors: WEIR_REGISTRY_UNREACHABLE. */
  subjects(): Observable<readonly string[]> {
    return this.read('listing the subjects', () => this.opened.getAllSubjects()).pipe(
      map((subjects) => [...(subjects ?? [])].sort()),
    )
  }

  /** The versions of a subject, oldest first; none where there is no such subject. Errors: WEIR_REGISTRY_UNREACHABLE. */
  versionsOf(subject: string): Observable<readonly number[]> {
    // This one call of the client puts the subject into the path as it is.
    const ask = () => this.opened.getAllVersions(encodeURIComponent(subject))
    return this.read(`listing the versions of '${subject}'`, ask).pipe(
      map((versions) => [...(versions ?? [])].sort((one, other) => one - other)),
    )
  }

  /** One version of a subject; undefined where there is none. Errors: WEIR_REGISTRY_UNREACHABLE. */
  version(subject: string, version: number): Observable<RegisteredVersion | undefined> {
    const doing = `reading version ${version} of '${subject}'`
    return this.read(doing, () => this.opened.getSchemaMetadata(subject, version, false)).pipe(
      map((found) => {
        if (found === undefined) return undefined
        const { id = 0, schema, schemaType: type = 'AVRO', references = [] } = found
        return { id, version, schema, type, references }
      }),
    )
  }

  /**
   * By what level versions of a subject may change: NONE of its own may be Apicurio's word for having none.
   * Errors: WEIR_REGISTRY_UNREACHABLE.
   */
  level(subject: string): Observable<string> {
    const doing = `reading how '${subject}' may change`
    return this.read(doing, () => this.opened.getCompatibility(subject)).pipe(
      switchMap((level) =>
        level === undefined || String(level) === 'NONE'
          ? this.read(doing, () => this.opened.getDefaultCompatibility())
          : of(level),
      ),
      map((level) => level ?? 'NONE'),
    )
  }

  /** What the registry answers; undefined where it does not have that. */
  private read<T>(doing: string, ask: () => Promise<T>): Observable<T | undefined> {
    return defer(ask).pipe(
      catchError((error: unknown) =>
        statusOf(error) === 404 ? of(undefined) : throwError(() => this.fault(error, doing)),
      ),
    )
  }

  async close(): Promise<void> {
    await (this.client?.close() as unknown as Promise<void> | undefined)
  }

  private note(id: number, error: unknown): void {
    if (!(error instanceof WeirError) || error.code !== 'WEIR_RECORD_MALFORMED') return
    if (this.unknown.size >= mostUnknown) this.unknown.clear()
    this.unknown.set(id, performance.now() + unknownForMs)
  }

  private get opened(): Client {
    this.client ??= this.connect()
    return this.client
  }

  private connect(): Client {
    const { url, user, password = '', timeout, ssl } = this.settings
    const { SchemaRegistryClient } = loadPeer<typeof Registry>(peer, 'the schema registry')
    return new SchemaRegistryClient({
      baseURLs: [url.replace(/\/+$/, '')],
      createAxiosDefaults: { timeout, ...(ssl === undefined ? {} : { httpsAgent: new Agent(ssl) }) },
      // The epoch is tried again, with pauses that show in the log.
      maxRetries: 0,
      ...(user === undefined
        ? {}
        : { basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `${user}:${password}` } }),
    })
  }

  private fault(error: unknown, doing: string): WeirError {
    if (error instanceof WeirError) return error
    const status = statusOf(error)
    return new WeirError('WEIR_REGISTRY_UNREACHABLE', `${doing}: ${this.address} answered ${textOf(error)}`, {
      cause: error,
      ...(status === 401 || status === 403 ? { hint: 'Check user and password of the schema registry.' } : {}),
    })
  }
}

function infoOf(type: SchemaType, schema: string, references: readonly SchemaReference[]): SchemaInfo {
  return {
    schema,
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references: [...references] }),
  }
}

function unknownId(id: number): WeirError {
  return new WeirError('WEIR_RECORD_MALFORMED', `reading schema ${id}: the registry has none of that id`)
}

function refused(error: unknown, doing: string): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `${doing}: ${textOf(error)}`, {
    cause: error,
    hint:
      statusOf(error) === 409
        ? 'Change the schema so that readers of the last one still understand it, or use another subject.'
        : 'Register it, or correct the schema.',
  })
}

function statusOf(error: unknown): number | undefined {
  const { status, response } = error as { status?: unknown; response?: { status?: unknown } }
  const found = status ?? response?.status
  return typeof found === 'number' ? found : undefined
}

/** An axios error has no text when every address of a host refused. */
function textOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return messageOf(error) || messageOf(cause) || String((error as { code?: unknown }).code)
}

function withoutSecrets(url: string): string {
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  return shown.href
}
