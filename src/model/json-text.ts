import { jsonTokens } from './json-tokens.js'
import { usualDepth } from './nesting.js'

/** What becomes of integers that a number can't hold: an error, a bigint, or their digits as text. */
export type BigIntegers = 'reject' | 'bigint' | 'text'

export interface JsonLimits {
  /** How deep arrays and objects may nest. Default 100. */
  readonly depth?: number
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
  const found = lookThrough(value, depth)
  if (found === 'too deep') throw new SyntaxError(`it nests deeper than ${depth}`)
  return found === 'inexact' ? parseExactly(text, bigIntegers) : value
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

type Found = 'nothing' | 'inexact' | 'too deep'

/**
 * Whether it nests deeper than that, or else whether there is a number that an integer beyond what numbers hold may have come
 * out as.
 */
function lookThrough(value: unknown, depth: number): Found {
  if (typeof value === 'number') return value >= 2 ** 53 || value <= -(2 ** 53) ? 'inexact' : 'nothing'
  if (typeof value !== 'object' || value === null) return 'nothing'
  if (depth === 0) return 'too deep'
  let worst: Found = 'nothing'
  if (Array.isArray(value)) for (const part of value) worst = worse(worst, lookThrough(part, depth - 1))
  else for (const name in value) worst = worse(worst, lookThrough((value as Record<string, unknown>)[name], depth - 1))
  return worst
}

function worse(one: Found, other: Found): Found {
  return one === 'too deep' || other === 'nothing' ? one : other
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
