import { nestsDeeper, usualDepth } from './nesting.js'

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
  if (hasMoreBrackets(text, depth) && nestsDeeper(Buffer.from(text), depth))
    throw new SyntaxError(`it nests deeper than ${depth}`)
  const value: unknown = JSON.parse(text)
  // Looking for long numbers in the text would take half as long as parsing it.
  return holdsInexact(value) ? parseExactly(text, bigIntegers) : value
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

const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const integer = /^-?\d+$/

/** A quick look before the exact one: bytes are looked at one by one only where they could nest so deep. */
function hasMoreBrackets(text: string, depth: number): boolean {
  let count = 0
  for (const bracket of ['[', '{']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (++count > depth) return true
  }
  return false
}

/** Whether there is a number that an integer beyond what numbers hold may have come out as. */
function holdsInexact(value: unknown): boolean {
  if (typeof value === 'number') return value >= 2 ** 53 || value <= -(2 ** 53)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(holdsInexact)
  for (const name in value) if (holdsInexact((value as Record<string, unknown>)[name])) return true
  return false
}

function parseExactly(text: string, bigIntegers: BigIntegers): unknown {
  const mark = markFor(text)
  let isMarked = false
  const marked = text.replace(tokens, (token) => {
    if (!integer.test(token) || isExact(token)) return token
    if (bigIntegers === 'reject') throw new SyntaxError(`${token.slice(0, 40)} is beyond what a number can hold`)
    isMarked = true
    return bigIntegers === 'text' ? `"${token}"` : `"${mark}${token}"`
  })
  if (!isMarked || bigIntegers === 'text') return JSON.parse(marked)
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  )
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
