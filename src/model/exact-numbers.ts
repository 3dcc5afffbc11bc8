import { jsonText } from './json-text.js'
import { jsonTokens } from './json-tokens.js'

/** What numbers may have that a double has not: 17 digits, an exponent of three, a zero below zero. */
const suspicious = /[\d.]{17}|\d[eE][+-]?\d{3}|-0(?=[\s,}\].eE]|$)/
const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
const beforeText = '\uFFFF'
const beforeNumber = '\uFFFE'

/** JSON in which a number that a double would alter is text, marked by what no other text begins with. */
export type ExactJson = unknown

/** The value's JSON, and the same with the numbers as they were read. */
interface Form {
  readonly json: string
  readonly exact: string
}

const forms = new WeakMap<object, Form>()
let hasForms = false

/** Undefined where a number holds all that the text says, as nearly always. */
export function exactNumbers(text: string): ExactJson {
  if (!suspicious.test(text)) return undefined
  let isAltered = false
  const marked = text.replace(jsonTokens, (token) => {
    if (token.startsWith('"')) return `"${beforeText}${token.slice(1)}`
    if (isKept(token)) return token
    isAltered = true
    return `"${beforeNumber}${token}"`
  })
  return isAltered ? (JSON.parse(marked.charCodeAt(0) === 0xfeff ? marked.slice(1) : marked) as ExactJson) : undefined
}

/**
 * Remembers how a value is written so that its numbers are those of the text it was read from, where they are still in
 * their place. Returns false where the value is such a number by itself, which nothing can be remembered of.
 */
export function keepExact(value: unknown, exact: ExactJson): boolean {
  if (exact === undefined) return true
  if (typeof value !== 'object' || value === null) return !isDigitsOf(value, exact)
  forms.set(value, { json: jsonText(value) ?? 'null', exact: written(value, exact) ?? 'null' })
  hasForms = true
  return true
}

/** The exact form of a value whose JSON this is: the JSON itself where somebody has changed the value since. */
export function exactForm(value: unknown, json: string): string {
  if (!hasForms || typeof value !== 'object' || value === null) return json
  const form = forms.get(value)
  return form?.json === json ? form.exact : json
}

/** As `JSON.stringify`, with the digits of the exact form at their places. */
function written(value: unknown, exact: ExactJson): string | undefined {
  if (isDigitsOf(value, exact)) return exact.slice(1)
  if (Array.isArray(value))
    return `[${value.map((item: unknown, index) => written(item, partOf(exact, index)) ?? 'null').join()}]`
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return jsonText(value)
  const fields = Object.entries(value).flatMap(([name, field]) => {
    const text = written(field, partOf(exact, beforeText + name))
    return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]
  })
  return `{${fields.join()}}`
}

function partOf(exact: ExactJson, name: string | number): ExactJson {
  return typeof exact === 'object' && exact !== null ? (exact as Record<string, ExactJson>)[name] : undefined
}

function isDigitsOf(value: unknown, exact: ExactJson): exact is string {
  if (typeof value !== 'number' || typeof exact !== 'string' || !exact.startsWith(beforeNumber)) return false
  return Object.is(Number(exact.slice(1)), value)
}

/** Whether a number comes back as what it was, however it is spelt. */
function isKept(token: string): boolean {
  return plain(token) === plain(String(Number(token)))
}

/** One text for each number that there is; undefined for what is none. */
function plain(token: string): string | undefined {
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts.exec(token) ?? []
  if (sign === undefined) return undefined
  const digits = (whole + fraction).replace(/^0+/, '')
  const short = digits.replace(/0+$/, '')
  return `${sign}${short}e${short === '' ? 0 : Number(exponent) - fraction.length + digits.length - short.length}`
}
