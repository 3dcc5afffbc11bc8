import { join, resolve } from 'node:path'
import { firstValueFrom } from 'rxjs'
import { type SchemaRegistry, schemaRegistry } from '../codecs/schema-registry.js'
import { withDotenv } from '../config/dotenv.js'
import type { Engine } from '../engine/index.js'
import { type ConnectionContext, silentLogger, systemClock } from '../model/index.js'
import { decoded } from '../model/url-login.js'
import { type Io, UsageError } from './io.js'
import type { Prepared } from './prepare.js'

export interface RegistryOptions {
  /** The URL; it may have a user and a password. Default: `SCHEMA_REGISTRY_URL`, also of `.env`. */
  readonly registry?: string
  readonly json?: boolean
}

/** Where the schemas are, as the command line or `SCHEMAS` says. */
export function schemaFolder(given: string | undefined, io: Io): string {
  return resolve(io.cwd, given ?? (environmentOf(io)['SCHEMAS'] || 'schemas'))
}

/** The URL of the registry that is asked for, if one is. */
export function registryUrl({ registry }: RegistryOptions, io: Io): string | undefined {
  return registry ?? (environmentOf(io)['SCHEMA_REGISTRY_URL'] || undefined)
}

/** Opens the registry that is asked for. Errors: UsageError, WEIR_CONFIG_INVALID. */
export async function withRegistry<T>(
  options: RegistryOptions,
  io: Io,
  use: (registry: SchemaRegistry) => Promise<T>,
): Promise<T> {
  const asked = registryUrl(options, io) ?? ''
  if (!/^https?:/.test(asked) || !URL.canParse(asked))
    throw new UsageError('which registry? Name it with --registry, or SCHEMA_REGISTRY_URL')
  const url = new URL(asked)
  const [user, password] = [url.username, url.password].map(decoded)
  url.username = url.password = ''
  const { definition } = schemaRegistry
  const login = user === undefined || user === '' ? {} : { user, password }
  const registry = definition.open(
    definition.options.parse({ url: url.href, ...login }),
    commandContext('registry', io),
  )
  try {
    return await use(registry)
  } finally {
    await registry.close()
  }
}

/** As above, or else the registry of the configuration, where there is one and it names a registry. */
export function withAnyRegistry<T>(
  options: RegistryOptions,
  io: Io,
  configured: { readonly prepared: Prepared; readonly engine: Engine } | undefined,
  use: (registry: SchemaRegistry | undefined) => Promise<T>,
): Promise<T> {
  if (registryUrl(options, io) !== undefined) return withRegistry(options, io, use)
  if (configured === undefined) return use(undefined)
  const { kind } = schemaRegistry.definition
  const { prepared, engine } = configured
  const [declared] = [...prepared.topology.connections].find(([, { definition }]) => definition.kind === kind) ?? []
  const registry = declared === undefined ? undefined : (engine.connection(declared) as SchemaRegistry)
  return use(registry?.isNamed ? registry : undefined)
}

/** What a connection is opened with that no configuration declares. */
export function commandContext(name: string, { cwd }: Io): ConnectionContext {
  return {
    app: 'weir',
    name,
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: join(cwd, '.weir'),
  }
}

export const answer = firstValueFrom

function environmentOf(io: Io) {
  return withDotenv(io.env, io.cwd)
}
