import type { WeirConfig } from '../engine/config.js'
import type { Branches, Flow, FlowEnd } from '../engine/flow.js'
import { type Environment, secret, settingsIn } from '../model/index.js'

/** Replaces every secret in a text. */
export type Redact = (text: string) => string

const shown = '[secret]'

/** Shorter values would blank out half a log, and protect nothing. */
const shortest = 3

/** Knows what every `secret()` of a configuration holds in this environment, and takes it out of texts. */
export function redactor(config: WeirConfig, environment: Environment): Redact {
  const values = new Set(
    [...secretsOf(config, environment)].flatMap(formsOf).filter(({ length }) => length >= shortest),
  )
  if (values.size === 0) return (text) => text
  // The longest first: a password may be a part of the URL that holds it.
  const alternatives = [...values].sort((a, b) => b.length - a.length).map(escapeRegExp)
  const pattern = new RegExp(alternatives.join('|'), 'g')
  return (text) => text.replace(pattern, shown)
}

function* secretsOf(config: WeirConfig, environment: Environment): Generator<string> {
  for (const setting of settingsIn(Object.values(config.connections ?? {}).map(({ options }) => options))) {
    if (setting.isSecret) yield* valueOf(setting.name, environment)
  }
  for (const flow of Object.values(config.flows)) {
    for (const setting of settingsIn([...optionsOf(flow)])) {
      if (setting.isSecret) yield* valueOf(setting.name, environment)
    }
  }
}

/** The text as it was given: what a setting makes of it, and its default, is not what leaks. */
function* valueOf(name: string, environment: Environment): Generator<string> {
  try {
    yield secret(name).default('').read(environment)
  } catch {
    // A file that can't be read holds nothing to hide; compiling tells about it.
  }
}

function* optionsOf({ inputs, stages, end }: Flow): Generator<unknown> {
  for (const input of inputs) yield* [input.source, ...input.stages].map(({ options }) => options)
  yield* stages.map(({ options }) => options)
  yield* endOptions(end)
}

function* endOptions(end: FlowEnd): Generator<unknown> {
  if (!isBranches(end)) {
    yield end.options
    return
  }
  for (const { stages, end: inner } of end.branches) {
    yield* stages.map(({ options }) => options)
    yield* endOptions(inner)
  }
}

function isBranches(end: FlowEnd): end is Branches<never> {
  return 'branches' in end
}

/** A secret as URLs and JSON have it, and the password inside when it is a URL itself. */
function formsOf(text: string): string[] {
  const password = URL.canParse(text) ? new URL(text).password : ''
  const parts = [text, password, decoded(password)]
  return parts.flatMap((part) => [part, encodeURIComponent(part), JSON.stringify(part).slice(1, -1)])
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
