import { jsonOf, UnencodableError, wellFormed } from '../model/index.js'
import type { Column } from './table-columns.js'

/**
 * The text by which PostgreSQL reads a value into this column, or null. Whether UTF-8 can carry it is for who sends it to look
 * at, once for all that goes together.
 */
export function textOf(value: unknown, column: Column): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return String(value)
  try {
    if (column.isJson) return typeof value === 'string' ? value : jsonOf(value)
    // A time of day is read out of a date too, but not out of ISO's form with the T.
    if (column.isTimeOfDay && value instanceof Date) return dateText(value).replace('T', ' ')
    return scalarText(value)
  } catch (error) {
    throw new UnencodableError(error, column.name)
  }
}

function scalarText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      return objectText(value as object)
    case 'function':
    case 'symbol':
    case 'undefined':
      throw new TypeError(`a ${typeof value} can't be written`)
  }
}

function objectText(value: object): string {
  if (value instanceof Date) return dateText(value)
  if (value instanceof Uint8Array)
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  if (Array.isArray(value)) return arrayText(value.map(elementText))
  return jsonOf(value)
}

function elementText(value: unknown): string | null | readonly (string | null)[] {
  if (value === null || value === undefined) return null
  return Array.isArray(value) ? (value.map(elementText) as (string | null)[]) : scalarText(value)
}

/**
 * ISO 8601 in UTC, so that a `timestamp` column gets UTC digits whatever the zone of process and session.
 * PostgreSQL takes no signed years: later than 9999 it wants them bare, before the year 1 with an era.
 */
function dateText(date: Date): string {
  const iso = date.toISOString()
  if (!/^(\+|-|0000)/.test(iso)) return iso
  if (iso.startsWith('+')) return iso.slice(1).replace(/^0+/, '')
  return `${String(1 - date.getUTCFullYear()).padStart(4, '0')}${iso.replace(/^-?\d+/, '')} BC`
}

type ArrayElement = string | null | readonly ArrayElement[]

/** An array literal. */
function arrayText(elements: readonly ArrayElement[]): string {
  let text = '{'
  for (let index = 0; index < elements.length; index++) {
    if (index > 0) text += ','
    const element = elements[index]
    if (element === null || element === undefined) text += 'NULL'
    else if (typeof element === 'string')
      text += `"${toQuote.test(element) ? element.replace(/["\\]/g, '\\$&') : element}"`
    else text += arrayText(element)
  }
  return `${text}}`
}

const toQuote = /["\\]/

/** Texts of a column, as an array literal. Errors: `UnencodableError` for what UTF-8 can't carry. */
export function columnText(texts: readonly (string | null)[], column: Column): string {
  return carried(arrayText(texts), column)
}

/** A text that is sent for a column. Errors: `UnencodableError` for what UTF-8 can't carry. */
export function carried(text: string, { name }: Column): string {
  try {
    return wellFormed(text)
  } catch (error) {
    throw new UnencodableError(error, name)
  }
}
