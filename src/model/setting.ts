import { readFileSync } from 'node:fs'
import { messageOf, WeirError } from './errors.js'
import { isPlainObject } from './plain-object.js'

/** The variables a configuration may read: `process.env`, or what a test puts in its place. */
export type Environment = Readonly<Record<string, string | undefined>>

type Parse<T> = (text: string) => T

/**
 * A value that is read from the environment when the configuration is compiled, not when it is declared:
 * `env('SERVER_PORT').int().default(8080)`. Any option of a stage or connection may be one.
 */
export class Setting<T = string> {
  private constructor(
    readonly name: string,
    private readonly parse: Parse<T>,
    /** What it is where the variable is not set, or empty; undefined where that is nothing. */
    private readonly fallback: ((environment: Environment) => Found<T> | undefined) | undefined,
    /** Never shown in logs, errors or graphs; may also be given as the file that `<NAME>_FILE` names. */
    readonly isSecret: boolean,
    /** All variables that it may be read from. */
    readonly names: readonly string[] = [name],
  ) {}

  static of(name: string, isSecret: boolean): Setting<string> {
    return new Setting(name, (text) => text, undefined, isSecret)
  }

  /** The value when the variable is not set, or empty. */
  default<const D>(value: D): Setting<WithDefault<T, D>> {
    const found = { value: value as WithDefault<T, D> }
    const fallback = (environment: Environment) => this.fallback?.(environment) ?? found
    const parse = this.parse as (text: string) => WithDefault<T, D>
    return new Setting(this.name, parse, fallback, this.isSecret, this.names)
  }

  /** Another variable, which is read when this one is not set, or empty. */
  or<U>(other: Setting<U>): Setting<T | U> {
    const isSecret = this.isSecret || other.isSecret
    const names = [...this.names, ...other.names]
    const fallback = (environment: Environment) => other.find(environment) ?? this.fallback?.(environment)
    return new Setting<T | U>(this.name, this.parse, fallback, isSecret, names)
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

  /** Makes another value of it, the default included. */
  map<U>(project: (value: T) => U): Setting<U> {
    const { fallback } = this
    return new Setting<U>(
      this.name,
      (text) => project(this.parse(text)),
      fallback &&
        ((environment) => {
          const found = fallback(environment)
          return found && { value: project(found.value) }
        }),
      this.isSecret,
      this.names,
    )
  }

  /** Errors: WEIR_CONFIG_ENVIRONMENT when it is missing or malformed. */
  read(environment: Environment): T {
    const found = this.find(environment)
    if (found !== undefined) return found.value
    throw new WeirError('WEIR_CONFIG_ENVIRONMENT', `reading the environment: ${this.names.join(' or ')} is not set`, {
      hint: `Set ${this.name}${this.isSecret ? `, or ${this.name}_FILE to a file that holds it` : ''}, or give it a default.`,
    })
  }

  private find(environment: Environment): Found<T> | undefined {
    const text = this.text(environment)
    return text === undefined || text === '' ? this.fallback?.(environment) : { value: this.parse(text) }
  }

  private text(environment: Environment): string | undefined {
    const text = environment[this.name]
    const file = environment[`${this.name}_FILE`]
    if (text !== undefined || file === undefined || file === '') return text
    try {
      return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      throw new WeirError('WEIR_CONFIG_ENVIRONMENT', `reading ${this.name}_FILE: ${messageOf(error)}`, { cause: error })
    }
  }

  private as<U>(what: string, parse: (text: string) => U | undefined): Setting<U> {
    const checked = (text: string) => {
      const value = parse(text.trim())
      if (value !== undefined) return value
      const shown = this.isSecret ? 'its value' : `'${text}'`
      throw new WeirError('WEIR_CONFIG_ENVIRONMENT', `reading ${this.name}: ${shown} is not ${what}`, {
        hint: `Set ${this.name} to ${what}.`,
      })
    }
    // Another variable is text as well; a default may be a value already.
    return this.map((value) => (typeof value === 'string' ? checked(value) : (value as unknown as U)))
  }
}

interface Found<T> {
  readonly value: T
}

/** A default that is one of the values widens nothing. */
type WithDefault<T, D> = [D] extends [T] ? T : Widen<D> | T

type Widen<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T

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

/** Replaces every setting inside plain objects and arrays by its value; anything else is left as it is. */
export function resolveSettings(value: unknown, environment: Environment): unknown {
  if (isSetting(value)) return resolveSettings(value.read(environment), environment)
  if (Array.isArray(value)) return value.map((item) => resolveSettings(item, environment))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveSettings(item, environment)]))
}

/** Every setting inside a value, for redaction and for `weir check`. */
export function* settingsIn(value: unknown): Generator<Setting<unknown>> {
  if (isSetting(value)) yield value
  else if (Array.isArray(value)) for (const item of value) yield* settingsIn(item)
  else if (isPlainObject(value)) for (const item of Object.values(value)) yield* settingsIn(item)
}

function isSetting(value: unknown): value is Setting<unknown> {
  return value instanceof Setting
}
