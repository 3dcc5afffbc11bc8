import { jsonTokens } from './json-tokens.js'
import { usualDepth } from './nesting.js'

/** What becomes of integers that a number can't hold: an error, a bigint, or their digits as text. */
export type BigIntegers = 'reject' | 'bigint' | 'text'

export interface JsonLimits {
  /** How deep arrays and objects may nest. Default 100; false leaves that to whoever takes the parts. */
  readonly depth?: number | false
  readonly bigIntegers?: BigIntegers
}

/**
 * Reads JSON text; a byte order mark before it is passed over.
 * Errors with a SyntaxError for what is none, nests too deep, or has an integer that would come out as another.
 */
export function parseJson(given: string, { depth = usualDepth, bigIntegers = 'reject' }: JsonLimits = {}): unknown {
  const text = given.charCodeAt(0) === 0xfeff ? given.slice(1) : given
  const value: unknown = JSON.parse(text)
  // Looking for long numbers and for brackets in the text would take half as long as parsing it.
  if (isOrdinary(value, depth === false ? usualDepth : depth)) return value
  if (depth !== false && nestsBeyond(value, depth)) throw new SyntaxError(`it nests deeper than ${depth}`)
  return parseExactly(text, bigIntegers)
}

/** As JSON, with bigint as the integers that they are. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return exactText(value, error)
  }
}

const integer = /^-?\d+$/

/**
 * Whether it nests no deeper than that, and has no number that an integer beyond what numbers hold may have come out as. Most
 * parts are texts, and a call for each would be half of the time.
 */
function isOrdinary(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return value < 2 ** 53 && value > -(2 ** 53)
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every((part) => isOrdinary(part, depth - 1))
  for (const name in value) {
    const part = (value as Record<string, unknown>)[name]
    if (typeof part !== 'string' && !isOrdinary(part, depth - 1)) return false
  }
  return true
}

/** Whether arrays and objects nest deeper than `depth` in a parsed value. */
export function nestsBeyond(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((part) => nestsBeyond(part, depth - 1))
}

function parseExactly(text: string, bigIntegers: BigIntegers): unknown {
  const mark = markFor(text)
  let isMarked = false
  const marked = text.replace(jsonTokens, (token) => {
    if (!integer.test(token)) {
      // What is posted has its digits beside it.
      if (bigIntegers !== 'bigint' && isInfinite(token)) throw beyond(token)
      return token
    }
    if (isExact(token)) return token
    if (bigIntegers === 'reject') throw beyond(token)
    isMarked = true
    return bigIntegers === 'text' ? `"${token}"` : `"${mark}${token}"`
  })
  if (!isMarked || bigIntegers === 'text') return JSON.parse(marked)
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  )
}

function beyond(token: string): SyntaxError {
  return new SyntaxError(`${token.slice(0, 40)} is beyond what a number can hold`)
}

function isInfinite(token: string): boolean {
  return !token.startsWith('"') && !Number.isFinite(Number(token))
}

function isExact(token: string): boolean {
  const number = Number(token)
  return String(number) === token || (Number.isFinite(number) && BigInt(number) === BigInt(token))
}

function exactText(value: unknown, error: TypeError): string | undefined {
  let hasBigint = false
  const written = (mark: string) =>
    JSON.stringify(value, (_, part: unknown) => {
      if (typeof part !== 'bigint') return part
      hasBigint = true
      return `${mark}${part}`
    }) as string | undefined
  const plain = written('')
  // It was about something else: a value that contains itself, say.
  if (!hasBigint || plain === undefined) throw error
  const mark = markFor(plain)
  return written(mark)?.replace(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1')
}

/** Something that is nowhere in a text. */
function markFor(text: string): string {
  let mark = '\uFFFF'
  while (text.includes(mark)) mark += '\uFFFF'
  return mark
}
