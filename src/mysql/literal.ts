import { jsonOf, UnencodableError, wellFormed } from '../model/index.js'
import type { Column } from './table-columns.js'

/** Quotes text. */
type Escape = (text: string) => string

/** A value as SQL reads it into this column. Errors: `UnencodableError`. */
export function literalOf(value: unknown, column: Column, escape: Escape): string {
  if (value === null || value === undefined) return 'NULL'
  try {
    if (column.kind === 'json') return escape(typeof value === 'string' ? wellFormed(value) : jsonOf(value))
    return plainLiteral(value, column, escape)
  } catch (error) {
    throw new UnencodableError(error, column.name)
  }
}

function plainLiteral(value: unknown, column: Column, escape: Escape): string {
  switch (typeof value) {
    case 'string':
      return escape(wellFormed(value))
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`MySQL knows no ${value}`)
      return String(value)
    case 'bigint':
      return String(value)
    case 'boolean':
      return value ? 'TRUE' : 'FALSE'
    case 'object':
      return objectLiteral(value as object, column, escape)
    case 'function':
    case 'symbol':
    case 'undefined':
      throw new TypeError(`a ${typeof value} can't be written`)
  }
}

function objectLiteral(value: object, column: Column, escape: Escape): string {
  if (value instanceof Date) return `'${dateText(value, column)}'`
  if (value instanceof Uint8Array)
    return `X'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`
  return escape(jsonOf(value))
}

/** UTC, as the session is; only the part that the column is for, because the rest would be rounded into it. */
function dateText(date: Date, { kind, digits = 3 }: Column): string {
  const [whole = '', ms = ''] = date.toISOString().replace('T', ' ').replace('Z', '').split('.')
  const text = digits === 0 ? whole : `${whole}.${ms.slice(0, digits)}`
  if (kind === 'date') return text.slice(0, text.indexOf(' '))
  if (kind === 'time') return text.slice(text.indexOf(' ') + 1)
  if (kind === 'year') return String(date.getUTCFullYear())
  return text
}
