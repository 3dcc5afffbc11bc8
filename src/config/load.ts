import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createJiti, type Jiti } from 'jiti'
import type { WeirConfig } from '../engine/config.js'
import { type Environment, messageOf, type SourcePlace, WeirError } from '../model/index.js'
import { checkConfig } from './check.js'
import { type ConfigCode, readCode, rememberCode } from './code.js'
import { withDotenv } from './dotenv.js'
import { LoadError } from './load-error.js'
import { privateFolder } from './private-folder.js'
import { placeOf } from './source-place.js'

const fileNames = ['flows.config.ts', 'flows.config.mts', 'flows.config.js']

/** The modules of users that have been loaded: the loader shares its cache with all of the process. */
const ownModules = new Set<string>()

export interface LoadOptions {
  readonly cwd: string
  /** Default: the `flows.config` file of `cwd`. */
  readonly file?: string | undefined
  readonly environment: Environment
  /**
   * What the configuration gets for these imports, instead of what it would find: there may be only one instance of
   * this package, or no class would know its own objects.
   */
  readonly modules: Readonly<Record<string, unknown>>
}

export interface LoadedConfig {
  readonly config: WeirConfig
  readonly file: string
  /** What it was made by. */
  readonly code: ConfigCode
  /** With what `.env` beside the configuration adds. */
  readonly environment: Environment
}

/** Finds, loads and checks a configuration. Errors: WEIR_CONFIG_NOT_FOUND, WEIR_CONFIG_INVALID. */
export async function loadConfig({ cwd, file, environment, modules }: LoadOptions): Promise<LoadedConfig> {
  const path = find(cwd, file)
  const since = Date.now()
  const jiti = loaderFor(path, modules)
  const module = await importBy(jiti, path, cwd).catch((error: unknown) => {
    rememberCode(path, jiti, since)
    throw error
  })
  const code = readCode(path, jiti, since)
  return { config: checkConfig(module, path), file: path, environment: withDotenv(environment, dirname(path)), code }
}

function find(cwd: string, file: string | undefined): string {
  const candidates = (file === undefined ? fileNames : [file]).map((name) => resolve(cwd, name))
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found !== undefined) return found
  const what = file === undefined ? `there is no flows.config.ts in ${cwd}` : `there is no ${resolve(cwd, file)}`
  throw new WeirError('WEIR_CONFIG_NOT_FOUND', `looking for the configuration: ${what}`, {
    hint: 'Run weir where the configuration is, or name it with --config.',
  })
}

/** What a file exports, of TypeScript or JavaScript. Errors: WEIR_CONFIG_NOT_FOUND with the place of the fault. */
export async function importModule(
  path: string,
  cwd: string,
  modules: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return importBy(loaderFor(path, modules), path, cwd)
}

function loaderFor(path: string, modules: Readonly<Record<string, unknown>>): Jiti {
  return createJiti(pathToFileURL(join(dirname(path), 'weir')).href, {
    virtualModules: { ...modules },
    fsCache: cacheOf(dirname(path)),
    interopDefault: false,
  })
}

async function importBy(jiti: Jiti, path: string, cwd: string): Promise<unknown> {
  // They may have been written anew since.
  for (const file of ownModules) delete jiti.cache[file]
  const others = new Set(Object.keys(jiti.cache))
  try {
    return await jiti.import(path)
  } catch (error) {
    throw loadError(error, relative(cwd, path), path)
  } finally {
    for (const file of Object.keys(jiti.cache))
      if (!others.has(file) && !file.includes(`${sep}node_modules${sep}`)) ownModules.add(file)
  }
}

/** What is compiled is executed, so it lies where nobody else can put anything; or nowhere. */
function cacheOf(directory: string): string | false {
  return privateFolder(join(directory, '.weir')) === undefined
    ? false
    : (privateFolder(join(directory, '.weir', 'compiled')) ?? false)
}

function loadError(error: unknown, shown: string, path: string): LoadError {
  const parsed = parseErrorOf(error)
  const message = parsed?.message ?? messageOf(error)
  const place = parsed?.place ?? (error instanceof Error ? placeOf(error) : undefined) ?? { file: path, line: 1 }
  const isMissing = error instanceof Error && 'code' in error && /MODULE_NOT_FOUND$/.test(String(error.code))
  const hint = isMissing ? 'Check the path of the import; packages have to be installed.' : undefined
  return new LoadError(`loading ${shown}: ${message.split('\n')[0]}`, place, hint, error)
}

/** The loader gives syntax errors as text: "ParseError: what\n file:line:column". */
function parseErrorOf(error: unknown): { message: string; place: SourcePlace } | undefined {
  const match = /ParseError: (.*?)\s*\n\s*(.+):(\d+):(\d+)/.exec(messageOf(error))
  if (match === null) return undefined
  const [, message = '', file = '', line, column] = match
  return { message, place: { file, line: Number(line), column: Number(column) + 1 } }
}
