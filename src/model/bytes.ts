import { jsonOf, wellFormed } from './writable.js'

/**
 * What a value is on the wire: bytes and text as they are, nothing as null, all else as JSON, bigint as an integer.
 * Errors: `UnencodableError` for what JSON and UTF-8 do not have: circles, functions, a Map, half of a surrogate pair.
 */
export function bytesOf(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return Buffer.from(typeof value === 'string' ? wellFormed(value) : jsonOf(value))
}
