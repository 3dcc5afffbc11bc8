import { dirname } from 'node:path'
import { type AuditSettings, auditSettings } from '../config/audit.js'
import { closest } from '../config/closest.js'
import { placing } from '../config/field-place.js'
import { type HttpSettings, httpSettings } from '../config/http.js'
import { type LoadedConfig, loadConfig } from '../config/load.js'
import { type Redact, redactor } from '../config/secrets.js'
import { compile, type Topology, type WeirConfig } from '../engine/index.js'
import { type Environment, resolveSettings } from '../model/index.js'
import { type Io, UsageError } from './io.js'

export interface PrepareOptions {
  /** The file; default the one in the working directory. */
  readonly config?: string | undefined
  /** Which flows are named. Default: all. */
  readonly flows?: readonly string[]
  /** Names a list of flows of the configuration, in place of `flows`. */
  readonly system?: string | undefined
  /** Whether, when none is named, those are meant that the configuration says to run. */
  readonly toRun?: boolean
  /** Adds to the environment that the configuration reads. */
  readonly defaults?: (environment: Environment) => Environment
}

export interface Prepared extends LoadedConfig {
  readonly topology: Topology
  readonly redact: Redact
  readonly http: HttpSettings
  /** Where it is written down what people do; undefined where nobody wants it. */
  readonly audit: AuditSettings | undefined
}

/** Loads and compiles a configuration; connects to nothing. Errors: the configuration's, `UsageError`. */
export async function prepare(
  { config: file, flows: named = [], system, toRun = false, defaults }: PrepareOptions,
  io: Io,
): Promise<Prepared> {
  const modules = { weirflow: await import('../index.js') }
  const loaded = await loadConfig({ cwd: io.cwd, file, environment: io.env, modules })
  const environment = { ...defaults?.(loaded.environment), ...loaded.environment }
  const directory = dirname(loaded.file)
  const redact = redactor(loaded.config, environment, directory)
  if (io.secrets !== undefined) io.secrets.redact = redact
  const http = placing(loaded.file, () => httpSettings(loaded.config, environment, directory))
  const audit = placing(loaded.file, () => auditSettings(loaded.config, environment, directory))
  const systems = systemsOf(loaded.config, environment)
  if (system !== undefined) checkNames('system', [system], Object.keys(systems))
  const flows = system === undefined ? named : (systems[system] ?? [])
  checkNames('flow', flows, Object.keys(loaded.config.flows))
  const only = flows.length === 0 && toRun ? (loaded.config.run ?? []) : flows
  const topology = placing(loaded.file, () => compile(loaded.config, { environment, directory, only, isLasting: true }))
  return { ...loaded, environment, topology, redact, http, audit }
}

/** The flows of each system. */
export function systemsOf({ systems = {} }: WeirConfig, environment: Environment): Record<string, readonly string[]> {
  const resolved = resolveSettings(systems, environment) as Record<string, readonly (string | undefined)[]>
  const named = Object.entries(resolved).map(([system, flows]) => [system, flows.filter((flow) => flow !== undefined)])
  return Object.fromEntries(named) as Record<string, readonly string[]>
}

function checkNames(what: string, asked: readonly string[], known: readonly string[]): void {
  for (const name of asked) {
    if (known.includes(name)) continue
    const meant = closest(name, known)
    const hint = meant === undefined ? `there ${thereAre(known)}` : `did you mean '${meant}'?`
    throw new UsageError(`no ${what} is called '${name}': ${hint}`)
  }
}

function thereAre(known: readonly string[]): string {
  return known.length === 0 ? 'is none' : `are ${known.join(', ')}`
}
