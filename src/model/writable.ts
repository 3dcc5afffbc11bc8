import { messageOf } from './errors.js'
import { exactForm } from './exact-numbers.js'
import { UnencodableError } from './fault.js'
import { jsonText } from './json-text.js'
import { usualDepth } from './nesting.js'
import { isPlainObject } from './plain-object.js'

/** Text that UTF-8 can carry: half of a surrogate pair would be written as another character. Errors: `UnencodableError`. */
export function wellFormed(text: string): string {
  if (text.isWellFormed()) return text
  throw unencodable('text with half of a surrogate pair has no UTF-8')
}

/**
 * As JSON has it, with bigint as an integer, and the numbers of `http.post` as they came; what JSON has no form for is left out or null, inside of a value.
 * Errors: `UnencodableError` for a value of which nothing would be left: a function, what is no number or date, what
 * contains itself or nests beyond the stack, and, at any place, what JSON makes `{}` of: a Map, a Set, a promise.
 */
export function jsonOf(value: unknown): string {
  let text: string | undefined
  try {
    text = jsonText(value)
  } catch (error) {
    throw new UnencodableError(error)
  }
  if (text === undefined || (text === 'null' && value !== null))
    throw unencodable(`${typeof value === 'number' ? value : `a ${typeof value}`} can't be written`)
  if (text.includes('{}')) refuseEmptied(value)
  return exactForm(value, text)
}

function refuseEmptied(value: unknown): void {
  if (typeof value !== 'object' || value === null || hasForm(value)) return
  const inner = Object.values(value) as unknown[]
  const isPlain = isPlainObject(value) || Array.isArray(value)
  if (!isPlain && inner.length === 0) throw unencodable(`JSON keeps nothing of a ${nameOf(value)}`)
  for (const part of inner) refuseEmptied(part)
}

/**
 * A value that JSON carries as it is: what has a form of its own for JSON (a date, a batch) in that form.
 * Errors: `UnencodableError` for anything that would come back as something else, with its path.
 */
export function asJson(value: unknown, path = '', depth = 0): unknown {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value !== 'object') throw lost(String(typeof value === 'number' ? value : `a ${typeof value}`), path)
  if (depth > usualDepth) throw lost(`what nests deeper than ${usualDepth}`, path)
  if (value instanceof Date && Number.isNaN(value.getTime())) throw lost('a date of no time', path)
  if (hasForm(value)) return asJson(formOf(value, path), path, depth + 1)
  if (Array.isArray(value)) return Array.from(value, (item, index) => asJson(item, `${path}[${index}]`, depth + 1))
  if (!isPlainObject(value)) throw lost(`a ${nameOf(value)}`, path)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(fields.map(([name, field]) => [name, asJson(field, `${path}.${name}`, depth + 1)]))
}

function hasForm(value: object): value is { toJSON(): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function'
}

function formOf(value: { toJSON(): unknown }, path: string): unknown {
  try {
    return value.toJSON()
  } catch (error) {
    throw lost(messageOf(error), path)
  }
}

function lost(what: string, path: string): UnencodableError {
  return unencodable(`JSON does not keep ${what}${path === '' ? '' : ` at ${path}`}`)
}

function nameOf(value: object): string {
  return (Object.getPrototypeOf(value) as object | null)?.constructor?.name ?? 'object'
}

function unencodable(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
