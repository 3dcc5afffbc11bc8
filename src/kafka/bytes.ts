import { jsonText, UnencodableError } from '../model/index.js'

/**
 * What a value is on the wire: bytes and text as they are, nothing as null, all else as JSON, bigint as an integer.
 * Errors: `UnencodableError` for what JSON does not have: circles, functions, nesting beyond the stack.
 */
export function bytesOf(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return Buffer.from(typeof value === 'string' ? value : jsonOf(value))
}

function jsonOf(value: unknown): string {
  try {
    const text = jsonText(value)
    if (text !== undefined) return text
  } catch (error) {
    throw new UnencodableError(error)
  }
  throw new UnencodableError(new TypeError(`a ${typeof value} can't be written`))
}
