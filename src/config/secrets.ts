import type { WeirConfig } from '../engine/config.js'
import type { Branches, Flow, FlowEnd } from '../engine/flow.js'
import { type Environment, type Setting, type Surroundings, settingsIn } from '../model/index.js'
import { decoded } from '../model/url-login.js'
import { tokenSetting } from './http.js'

/** Replaces every secret in a text. */
export type Redact = (text: string) => string

const shown = '[secret]'

/** Shorter values would blank out half a log, and protect nothing. */
const shortest = 3
/** In a URL, shorter pieces are words. */
const shortestPiece = 12
const web = /^(https?|wss?):$/

/** Of any URL, whether it was called a secret or not; up to the last at sign, for a password may have one. */
const credentials = /\/\/[^\s/?#@:"']*:[^\s/?#"']*@/g

/** Takes out what needs no configuration to be known as a secret: texts from before there is one. */
export const withoutCredentials: Redact = (text) =>
  text.includes('@') ? text.replace(credentials, `//${shown}@`) : text

/** Knows what every `secret()` of a configuration holds in this environment, and takes it out of texts. */
export function redactor(config: WeirConfig, environment: Environment, directory?: string): Redact {
  const values = new Set(
    [...secretsOf(config, { environment, directory })].flatMap(formsOf).filter(({ length }) => length >= shortest),
  )
  // The longest first: a password may be a part of the URL that holds it.
  const alternatives = [...values].sort((a, b) => b.length - a.length).map(escapeRegExp)
  const pattern = values.size === 0 ? undefined : new RegExp(alternatives.join('|'), 'g')
  return (text) => withoutCredentials(pattern === undefined ? text : text.replace(pattern, shown))
}

function* secretsOf(config: WeirConfig, from: Surroundings): Generator<string> {
  const options = [
    tokenSetting,
    config.http,
    ...Object.values(config.connections ?? {}).map((connection) => connection.options),
    ...Object.values(config.flows).flatMap((flow) => [...optionsOf(flow)]),
  ]
  for (const setting of settingsIn(options)) yield* valuesOf(setting, from)
}

/** The texts as they were given: what a setting makes of them, and its default, is not what leaks. */
function* valuesOf(setting: Setting<unknown>, from: Surroundings): Generator<string> {
  try {
    yield* setting.secretsIn(from)
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

/** A secret as URLs, lists and JSON have it, and what is secret inside when it is a URL itself. */
function formsOf(text: string): string[] {
  const items = text.includes(',') ? text.split(',').map((item) => item.trim()) : []
  const parts = [text, ...items].flatMap((part) => [part, ...insideUrl(part)])
  return parts.flatMap((part) => [part, encodeURIComponent(part), JSON.stringify(part).slice(1, -1)])
}

/** Clients show a URL in their own spelling, without its credentials or in pieces. */
function insideUrl(text: string): string[] {
  if (!URL.canParse(text)) return []
  const { href, protocol, host, password, pathname, search, searchParams } = new URL(text)
  const parameters = [...searchParams.values()]
  // On the web a path may be the secret. Of a database it is its name, and topics and groups are often called like it.
  const isWeb = web.test(protocol)
  const pieces = isWeb ? pathname.split('/') : []
  const long = [...parameters, ...pieces].filter(({ length }) => length >= shortestPiece)
  const path = isWeb && pathname.length + search.length >= shortestPiece ? [pathname + search] : []
  const query = search.length > shortestPiece ? [search.slice(1)] : []
  const bare = `${protocol}//${host}${pathname}${search}`
  return [href, bare, password, decoded(password), ...path, ...query, ...long, ...long.map(decoded)]
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
