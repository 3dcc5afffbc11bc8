import { jsonOf, UnencodableError, wellFormed } from '../model/index.js'
import type { Column, Types } from './client.js'

/** A value as the driver takes it for this column. Errors: `UnencodableError`. */
export function encode(value: unknown, { name, type }: Column, types: Types): unknown {
  if (value === null || value === undefined) return null
  try {
    return (encoders(types)[type] ?? given)(value)
  } catch (error) {
    throw new UnencodableError(error, name)
  }
}

type Encoder = (value: unknown) => unknown

const made = new WeakMap<object, Readonly<Record<number, Encoder | undefined>>>()

/** By the code of the column's type; what is not here the driver takes as it is. */
function encoders(types: Types): Readonly<Record<number, Encoder | undefined>> {
  const known = made.get(types)
  if (known !== undefined) return known
  const { dataTypes } = types
  const encoders = {
    [dataTypes.ascii]: textOf,
    [dataTypes.text]: textOf,
    [dataTypes.varchar]: textOf,
    [dataTypes.blob]: bytesOf,
    [dataTypes.boolean]: booleanOf,
    // The driver takes text for what a number can't hold.
    [dataTypes.bigint]: (value: unknown) => wholeOf(value, 64),
    [dataTypes.varint]: (value: unknown) => wholeOf(value),
    [dataTypes.decimal]: decimalOf,
    [dataTypes.int]: (value: unknown) => Number(wholeOf(value, 32)),
    [dataTypes.smallint]: (value: unknown) => Number(wholeOf(value, 16)),
    [dataTypes.tinyint]: (value: unknown) => Number(wholeOf(value, 8)),
    [dataTypes.double]: numberOf,
    [dataTypes.float]: numberOf,
    [dataTypes.timestamp]: dateOf,
    [dataTypes.date]: dayOf,
    [dataTypes.time]: timeOf,
  }
  made.set(types, encoders)
  return encoders
}

/** As it is given: a list, a map, what is of a class of the driver's. */
function given(value: unknown): unknown {
  checkTexts(value)
  return value
}

function checkTexts(value: unknown): void {
  if (typeof value === 'string') wellFormed(value)
  else if (Array.isArray(value) || value instanceof Set) value.forEach(checkTexts)
  else if (value instanceof Map) for (const entry of value) checkTexts(entry)
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    for (const entry of Object.entries(value)) checkTexts(entry)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return wellFormed(value)
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'bigint') return String(value)
  return jsonOf(value)
}

function bytesOf(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError(`a ${typeof value} is no bytes`)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function booleanOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`'${String(value)}' is neither true nor false`)
  return value
}

/** A whole number as text: numbers have no more than 53 bits of one. */
function wholeOf(value: unknown, bits?: number): string {
  const text = String(value)
  if (!/^-?\d+$/.test(text)) throw new TypeError(`'${text}' is no whole number`)
  if (bits !== undefined && BigInt.asIntN(bits, BigInt(text)) !== BigInt(text))
    throw new RangeError(`${text} has more than ${bits} bits`)
  return text
}

const decimal = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,4}))?$/i

/** In plain digits: the driver takes what it can't read for 0, and passes over exponents. */
function decimalOf(value: unknown): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = decimal.exec(String(value)) ?? []
  if (whole === '') throw new TypeError(`'${String(value)}' is no decimal`)
  const point = whole.length + Number(exponent)
  const digits = `${'0'.repeat(Math.max(0, 1 - point))}${whole}${fraction}`.padEnd(point, '0')
  const at = Math.max(1, point)
  return `${sign}${digits.slice(0, at)}${digits.length > at ? `.${digits.slice(at)}` : ''}`
}

/** The driver would take a day of this machine's zone, and count a day beyond its month on. */
function dayOf(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString().slice(0, 10)
  if (typeof value !== 'string') return value
  const date = new Date(/^\d{4}-\d\d-\d\d$/.test(value) ? value : Number.NaN)
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== value)
    throw new TypeError(`'${value}' is no day`)
  return value
}

/** The driver would take what it can't read for midnight. */
function timeOf(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString().slice(11, -1)
  if (typeof value === 'string' && !/^\d\d:\d\d:\d\d(\.\d{1,9})?$/.test(value))
    throw new TypeError(`'${value}' is no time of day`)
  return value
}

function numberOf(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || (Number.isNaN(number) && value !== number))
    throw new TypeError(`'${String(value)}' is no number`)
  return number
}

function dateOf(value: unknown): Date {
  const date = value instanceof Date ? value : new Date(value as string | number)
  if (Number.isNaN(date.getTime())) throw new RangeError(`'${String(value)}' is no time`)
  return date
}
