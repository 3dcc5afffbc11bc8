import { type Header, UnencodableError } from '../model/index.js'

/**
 * Headers as the client takes them: one name each, with text or bytes. What is none of it the client would tell of only
 * after it has sent the record without. Errors: `UnencodableError`.
 */
export function checkedHeaders(headers: unknown): readonly Header[] {
  if (!Array.isArray(headers)) throw refused(`${typeof headers} in place of a list of headers`)
  return headers.every(isHeader) ? headers : headers.flatMap(single)
}

function isHeader(header: unknown): header is Header {
  if (typeof header !== 'object' || header === null) return false
  const names = Object.keys(header)
  if (names.length !== 1) return false
  const value: unknown = (header as Record<string, unknown>)[names[0] as string]
  return typeof value === 'string' || Buffer.isBuffer(value)
}

function single(header: unknown): Header[] {
  if (typeof header !== 'object' || header === null) throw refused(`a header is ${String(header)}`)
  return Object.entries(header).map(([name, value]: [string, unknown]) => {
    if (typeof value === 'string' || Buffer.isBuffer(value)) return { [name]: value }
    if (value instanceof Uint8Array) return { [name]: Buffer.from(value.buffer, value.byteOffset, value.byteLength) }
    throw refused(`header '${name}' has a ${value === null ? 'null' : typeof value} in place of text or bytes`)
  })
}

function refused(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
