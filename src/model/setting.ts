import { readFileSync } from 'node:fs'
import { type ErrorDetails, messageOf, WeirError } from './errors.js'
import { isPlainObject } from './plain-object.js'

/** The variables a configuration may read: `process.env`, or what a test puts in its place. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A place in a file of the user. */
export interface SourcePlace {
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  /** Counted from 1; undefined when it is not known for certain. */
  readonly column?: number
}

/** What settings are read from. */
export interface Surroundings {
  readonly environment: Environment
  /** Where the paths of files begin that the configuration names. Default: the working directory. */
  readonly directory?: string | undefined
}

/** Something that holds the value of a setting: a variable, or a key of a file. */
export interface SettingSource {
  /** What people know it by. */
  nameIn(from: Surroundings): string
  /** Whether it is there to be set: a file may not be. Default: yes. */
  isIn?(from: Surroundings): boolean
  /** Its place in its file, or where it would be. */
  placeIn?(from: Surroundings): SourcePlace | undefined
  /** What it holds that must not be shown: all of it where the setting is a secret. */
  secretsIn(from: Surroundings, isSecret: boolean): Iterable<string>
}

/** A value, and what it was read from; a default was read from nothing. */
export interface Found<T> {
  readonly value: T
  readonly source?: SettingSource
}

type Find<T> = (from: Surroundings) => Found<T> | undefined

/** What is wrong with a setting, and where, if a file is to blame. */
export class SettingError extends WeirError {
  constructor(
    message: string,
    readonly source: SourcePlace | undefined,
    details: ErrorDetails,
  ) {
    super('WEIR_CONFIG_ENVIRONMENT', message, details)
  }
}

/**
 * A value that is read from the environment, or from a file, when the configuration is compiled, not when it is declared:
 * `env('SERVER_PORT').int().default(8080)`. Any option of a stage or connection may be one.
 */
export class Setting<T = string> {
  protected constructor(
    /** All that it may be read from; the first that is set counts. */
    private readonly sources: readonly SettingSource[],
    private readonly given: Find<T>,
    /** Never shown in logs, errors or graphs; may also be given as the file that `<NAME>_FILE` names. */
    readonly isSecret = false,
    /** What it is where nothing is given; undefined where that is nothing. */
    private readonly fallback?: Find<T>,
    /** The options that it chooses from: settings may be inside. */
    readonly choices?: unknown,
  ) {}

  static of(name: string, isSecret: boolean): Setting<string> {
    const source: SettingSource = {
      nameIn: () => name,
      *secretsIn({ environment }, isHidden) {
        const text = isHidden ? textOf(name, environment) : undefined
        if (text !== undefined) yield text
      },
    }
    const given = ({ environment }: Surroundings) => {
      const value = textOf(name, environment)
      return value === undefined || value === '' ? undefined : { value, source }
    }
    return new Setting([source], given, isSecret)
  }

  /** The value when the variable is not set, or empty. */
  default<const D>(value: D): Setting<WithDefault<T, D>> {
    const found = { value: value as WithDefault<T, D> }
    const given = this.given as Find<WithDefault<T, D>>
    const fallback = this.fallback as Find<WithDefault<T, D>> | undefined
    return new Setting(this.sources, given, this.isSecret, (from) => fallback?.(from) ?? found, this.choices)
  }

  /** Another variable, or a key of a file, which is read when this one is not set, or empty. */
  or<U>(other: Setting<U>): Setting<T | U> {
    const { given, fallback } = this
    return new Setting<T | U>(
      [...this.sources, ...other.sources],
      (from) => given(from) ?? other.given(from),
      this.isSecret || other.isSecret,
      fallback || other.fallback ? (from) => other.fallback?.(from) ?? fallback?.(from) : undefined,
      this.choices === undefined ? other.choices : [this.choices, other.choices],
    )
  }

  /** Undefined, instead of an error, when the variable is not set. */
  optional(): Setting<T | undefined> {
    return this.default<undefined>(undefined)
  }

  int(): Setting<number> {
    return this.as('a whole number', (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : undefined))
  }

  number(): Setting<number> {
    return this.as('a number', (text) => (Number.isFinite(Number(text)) ? Number(text) : undefined))
  }

  boolean(): Setting<boolean> {
    return this.as('true or false', (text) => booleans[text.toLowerCase()])
  }

  /** Comma-separated. */
  list(): Setting<string[]> {
    return this.as('a list', (text) => text.split(',').map((item) => item.trim()))
  }

  /** One of these words; capital letters don't matter. */
  oneOf<const C extends string>(...choices: C[]): Setting<C> {
    const same = (text: string) => (choice: string) => choice.toLowerCase() === text.toLowerCase()
    return this.as(
      `one of ${choices.join(', ')}`,
      (text) => choices.find((choice) => choice === text) ?? choices.find(same(text)),
    )
  }

  /**
   * What stands under its value: `env('BACKEND').choose({ file: { path: env('DIR') }, s3: { bucket: env('BUCKET') } })`. Only
   * what is chosen is read.
   */
  choose<const C extends Readonly<Record<string, unknown>>>(choices: C): Setting<Resolved<C[keyof C]>> {
    const names = Object.keys(choices)
    const chosen = this.oneOf(...names).map((name) => choices[name] as Resolved<C[keyof C]>)
    return new Setting(chosen.sources, chosen.given, chosen.isSecret, chosen.fallback, choices)
  }

  /** Makes another value of it, the default included. Undefined is as if it were not set. */
  map<U>(project: (value: T) => U): Setting<U> {
    return this.mapFound((value) => project(value))
  }

  /** Errors: WEIR_CONFIG_ENVIRONMENT when it is missing or malformed, WEIR_CONFIG_INVALID when a file does not hold. */
  read(environment: Environment, directory?: string): T {
    const from = { environment, directory }
    return resolve(this.find(from).value, from, throwing) as T
  }

  /** The value, with settings inside as they are, and what it was read from. Errors: as of `read`. */
  find(from: Surroundings): Found<T> {
    const found = this.given(from) ?? this.fallback?.(from)
    if (found !== undefined) return found
    const [first, ...others] = this.namesIn(from)
    const ways = [this.isSecret ? `${first}, or ${first}_FILE to a file that holds it` : first, ...others]
    throw new SettingError(
      `reading the environment: ${[first, ...others].join(' or ')} is not set`,
      this.placeIn(from),
      { hint: `Set ${ways.join(', or ')}, or give it a default.` },
    )
  }

  /** What people know all that by that it may be read from; without the keys of a file that is not there, if anything is left. */
  namesIn(from: Surroundings): string[] {
    const there = this.sources.filter((source) => source.isIn?.(from) ?? true)
    return (there.length > 0 ? there : this.sources).map((source) => source.nameIn(from))
  }

  /** Where it would be in a file, if it may be read from one that is there. */
  placeIn(from: Surroundings): SourcePlace | undefined {
    return this.sources.map((source) => source.placeIn?.(from)).find((place) => place !== undefined)
  }

  /** What it may hold that must not be shown. */
  *secretsIn(from: Surroundings): Generator<string> {
    for (const source of this.sources) yield* source.secretsIn(from, this.isSecret)
  }

  private mapFound<U>(project: (value: T, source: SettingSource | undefined, from: Surroundings) => U): Setting<U> {
    const mapped =
      (find: Find<T>): Find<U> =>
      (from) => {
        const found = find(from)
        return found && { ...found, value: project(found.value, found.source, from) }
      }
    const { sources, given, isSecret, fallback, choices } = this
    const projected = mapped(given)
    const something: Find<U> = (from) => {
      const found = projected(from)
      return found?.value === undefined ? undefined : found
    }
    return new Setting<U>(sources, something, isSecret, fallback && mapped(fallback), choices)
  }

  private as<U>(what: string, parse: (text: string) => U | undefined): Setting<U> {
    return this.mapFound((value, source = this.sources[0], from) => {
      // A variable is text; a default, or what a file has, may be a value already.
      if (typeof value !== 'string') return value as unknown as U
      const parsed = parse(value.trim())
      if (parsed !== undefined) return parsed
      const shown = this.isSecret ? 'its value' : `'${value}'`
      const name = source?.nameIn(from)
      throw new SettingError(`reading ${name}: ${shown} is not ${what}`, source?.placeIn?.(from), {
        hint: `Set ${name} to ${what}.`,
      })
    })
  }
}

/** The text of a variable, or of the file that `<NAME>_FILE` names. Errors: WEIR_CONFIG_ENVIRONMENT. */
function textOf(name: string, environment: Environment): string | undefined {
  const text = environment[name]
  const file = environment[`${name}_FILE`]
  if (text !== undefined || file === undefined || file === '') return text
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new WeirError('WEIR_CONFIG_ENVIRONMENT', `reading ${name}_FILE: ${messageOf(error)}`, { cause: error })
  }
}

/** A default that is one of the values widens nothing. */
type WithDefault<T, D> = [D] extends [T] ? T : Widen<D> | T

type Widen<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends boolean
      ? boolean
      : T extends readonly (infer I)[]
        ? Widen<I>[]
        : T

const booleans: Record<string, boolean | undefined> = {
  true: true,
  '1': true,
  yes: true,
  on: true,
  false: false,
  '0': false,
  no: false,
  off: false,
}

/** A variable of the environment. */
export const env = (name: string): Setting<string> => Setting.of(name, false)

/** A variable that is never shown, and that `<NAME>_FILE` may give as a file. */
export const secret = (name: string): Setting<string> => Setting.of(name, true)

/** Options as a user may write them: any part of them may come from the environment. */
export type Configurable<T> =
  | Setting<T>
  | (T extends (...args: never[]) => unknown
      ? T
      : T extends readonly (infer I)[]
        ? readonly Configurable<I>[]
        : T extends object
          ? { [K in keyof T]: Configurable<T[K]> }
          : T)

/** What options are, once the settings inside are read. */
export type Resolved<T> =
  T extends Setting<infer V>
    ? Resolved<V>
    : T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { -readonly [K in keyof T]: Resolved<T[K]> }
        : T

/** What becomes known while settings are read. */
export interface SettingObserver {
  /** An option is a setting, which has its value from there, if it has one. */
  read(path: readonly PropertyKey[], setting: Setting<unknown>, source: SettingSource | undefined): void
  /** A setting could not be read: its option has no value, unless this throws. */
  failed(error: unknown): void
}

const throwing: SettingObserver = {
  read: () => undefined,
  failed: (error) => {
    throw error
  },
}

/** Replaces every setting inside plain objects and arrays by its value; anything else is left as it is. */
export function resolveSettings(
  value: unknown,
  environment: Environment,
  directory?: string,
  observer: SettingObserver = throwing,
): unknown {
  return resolve(value, { environment, directory }, observer)
}

function resolve(
  value: unknown,
  from: Surroundings,
  observer: SettingObserver,
  path: readonly PropertyKey[] = [],
): unknown {
  if (isSetting(value)) {
    const found = attempt(() => value.find(from), observer)
    observer.read(path, value, found?.source)
    return resolve(found?.value, from, observer, path)
  }
  if (Array.isArray(value)) return value.map((item, index) => resolve(item, from, observer, [...path, index]))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, resolve(item, from, observer, [...path, key])]),
  )
}

function attempt<V>(find: () => Found<V>, observer: SettingObserver): Found<V> | undefined {
  try {
    return find()
  } catch (error) {
    observer.failed(error)
    return undefined
  }
}

/** Every setting inside a value, for redaction and for `weir check`. */
export function* settingsIn(value: unknown): Generator<Setting<unknown>> {
  if (isSetting(value)) {
    yield value
    yield* settingsIn(value.choices)
  } else if (Array.isArray(value)) for (const item of value) yield* settingsIn(item)
  else if (isPlainObject(value)) for (const item of Object.values(value)) yield* settingsIn(item)
}

function isSetting(value: unknown): value is Setting<unknown> {
  return value instanceof Setting
}
