import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { ConfigError, type ConfigFault } from '../engine/config-error.js'
import {
  type Environment,
  type Found,
  messageOf,
  Setting,
  type SettingSource,
  type Surroundings,
} from '../model/index.js'
import { checkYaml } from './yaml-faults.js'
import { YamlText } from './yaml-text.js'

/** Settings of a file: all of it, and each key of it. */
export class FileSettings<T> extends Setting<T> {
  constructor(private readonly file: YamlFile<T>) {
    super([file.source([])], (from) => file.find([], from) as Found<T> | undefined)
  }

  /** One key, as `kafka.bootstrap_servers`. It is not set where the file, or the key in it, is not there or has no value. */
  at<const P extends PathOf<T>>(path: P): Setting<ValueAt<T, P>> {
    return new KeySetting(this.file, path.split('.'))
  }
}

class KeySetting<T, V> extends Setting<V> {
  constructor(file: YamlFile<T>, path: readonly string[]) {
    super([file.source(path)], (from) => file.find(path, from) as Found<V> | undefined)
  }
}

/**
 * Settings of a YAML file, which a schema types and checks: `env('PORT').int().or(yaml('app.yaml', App).at('port')).default(80)`
 * is the variable, or else what the file says, or else 80.
 *
 * The file lies beside the configuration, and need not be there. Where a variable names another
 * (`yaml(env('APP_CONFIG').default('app.yaml'), App)`), that begins in the working directory, and has to be there.
 *
 * `${NAME}` and `${NAME:-default}` in its values are taken from the environment; `$${` is `${` itself. What is written without
 * quotes is a number, a truth value or text, whichever the schema takes. What stands under a key that ends as `password`,
 * `secret`, `token` or `access_key` do is never shown, nor is anything of a setting that is a secret for another reason.
 *
 * Errors, when a setting of it is read: WEIR_CONFIG_INVALID, as a `ConfigError` with every fault of the file.
 */
export function yaml<T>(path: string | Setting<string>, schema: StandardSchemaV1<unknown, T>): FileSettings<T> {
  return new FileSettings(new YamlFile(path, schema))
}

interface Located {
  readonly file: string
  /** As it was written. */
  readonly shown: string
  /** Whether a variable says so. */
  readonly isNamed: boolean
}

interface Loaded<T> {
  /** Undefined where there is no file. */
  readonly text?: YamlText
  readonly value?: T
  readonly error?: ConfigError
}

/** A file, read once for each environment, so that all its settings are of one text and tell the same faults. */
class YamlFile<T> {
  private readonly loaded = new WeakMap<Environment, Loaded<T>>()

  constructor(
    private readonly path: string | Setting<string>,
    private readonly schema: StandardSchemaV1<unknown, T>,
  ) {}

  source(path: readonly string[]): SettingSource {
    return {
      nameIn: (from) => [path.join('.'), this.locate(from).shown].filter(Boolean).join(' of '),
      isIn: (from) => this.load(from).text !== undefined,
      placeIn: (from) => {
        const { text } = this.load(from)
        return text?.leadsTo(path) ? text.placeOf(path) : undefined
      },
      secretsIn: (from, isSecret) => this.load(from).text?.secrets(isSecret ? path : undefined) ?? [],
    }
  }

  /** Errors: `ConfigError`. */
  find(path: readonly string[], from: Surroundings): Found<unknown> | undefined {
    const { error, value, text } = this.load(from)
    if (error !== undefined) throw error
    const unset = text?.unsetIn(path) ?? []
    if (unset.length > 0) throw new ConfigError(unset)
    const found = path.reduce<unknown>(valueOf, value)
    return found === undefined ? undefined : { value: found, source: this.source(path) }
  }

  private load(from: Surroundings): Loaded<T> {
    const known = this.loaded.get(from.environment)
    if (known !== undefined) return known
    const loaded = this.parse(from)
    this.loaded.set(from.environment, loaded)
    return loaded
  }

  private parse(from: Surroundings): Loaded<T> {
    const located = this.locate(from)
    const { file, shown, isNamed } = located
    try {
      const bytes = readFileSync(file)
      const text = new YamlText(file, shown, new TextDecoder('utf8', { fatal: true }).decode(bytes), from.environment)
      const { value, faults } = checkYaml(text, this.schema)
      return faults.length === 0 ? { text, value: value as T } : { text, error: new ConfigError(faults) }
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      return isMissing && !isNamed ? {} : { error: new ConfigError([this.unreadable(located, isMissing, error, from)]) }
    }
  }

  private locate(from: Surroundings): Located {
    const { path } = this
    const { value: shown, source } = typeof path === 'string' ? { value: path } : path.find(from)
    const isNamed = source !== undefined
    return { file: isNamed ? resolve(shown) : resolve(from.directory ?? '', shown), shown, isNamed }
  }

  private unreadable(
    { file, shown, isNamed }: Located,
    isMissing: boolean,
    error: unknown,
    from: Surroundings,
  ): ConfigFault {
    const what = isMissing ? `there is no file ${file}` : messageOf(error)
    const variable = isNamed && typeof this.path !== 'string' ? this.path.find(from).source?.nameIn(from) : undefined
    const hint =
      variable === undefined ? 'Save it as text in UTF-8 that this user may read.' : `Correct ${variable}, or unset it.`
    return { message: `reading ${shown}: ${what}`, hint }
  }
}

function valueOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key] ?? undefined
}

/** The keys of a type, those inside of others behind dots; a list is one value. */
export type PathOf<T> = T extends readonly unknown[] | Date
  ? never
  : T extends object
    ? { [K in keyof T & string]-?: K | `${K}.${PathOf<NonNullable<T[K]>>}` }[keyof T & string]
    : never

/** What stands under such a key when it is set. */
export type ValueAt<T, P extends string> = P extends `${infer K}.${infer Rest}`
  ? ValueAt<Field<T, K>, Rest>
  : Field<T, P>

type Field<T, K extends string> = T extends unknown ? (K extends keyof T ? NonNullable<T[K]> : never) : never
