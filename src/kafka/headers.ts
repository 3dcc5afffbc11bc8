import { type Header, UnencodableError, wellFormed } from '../model/index.js'

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
  const [name] = names as [string]
  const value: unknown = (header as Record<string, unknown>)[name]
  return (Buffer.isBuffer(value) || (typeof value === 'string' && value.isWellFormed())) && isName(name)
}

function single(header: unknown): Header[] {
  if (typeof header !== 'object' || header === null) throw refused(`a header is ${String(header)}`)
  return Object.entries(header).map(([name, value]: [string, unknown]) => {
    if (!isName(name)) throw refused(`'${name.slice(0, 100)}' can't be the name of a header`)
    if (typeof value === 'string') return { [name]: wellFormed(value) }
    if (Buffer.isBuffer(value)) return { [name]: value }
    if (value instanceof Uint8Array) return { [name]: Buffer.from(value.buffer, value.byteOffset, value.byteLength) }
    throw refused(`header '${name}' has a ${value === null ? 'null' : typeof value} in place of text or bytes`)
  })
}

/** The client ends a name at the character 0. */
function isName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !name.includes('\0')
}

function refused(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
