/** What decides how data is read. */
export interface MediaType {
  readonly kind: 'json' | 'text' | 'bytes'
  /** Whether text of it is UTF-8, as far as it says. */
  readonly isUtf8: boolean
}

// RFC 2045, section 5.1.
const token = "[!#-'*+.\\dA-Z^-~-]+"
const parameter = `[ \\t]*;[ \\t]*${token}=(?:${token}|"(?:[ !#-\\[\\]-~]|\\\\[ -~])*")`
const shape = new RegExp(`^(${token})/(${token})((?:${parameter})*)[ \\t]*$`)
const charset = /;[ \t]*charset="?([^\s";]+)/i
const utf8 = new Set(['utf-8', 'utf8', 'us-ascii'])

/** Undefined where it is none by RFC 2046. */
export function mediaTypeOf(text: string): MediaType | undefined {
  const match = shape.exec(text)
  if (match === null) return undefined
  const [, type = '', subtype = '', parameters = ''] = match
  const named = charset.exec(parameters)?.[1]?.toLowerCase()
  return { kind: kindOf(type.toLowerCase(), subtype.toLowerCase()), isUtf8: named === undefined || utf8.has(named) }
}

function kindOf(type: string, subtype: string): MediaType['kind'] {
  if (subtype === 'json' || subtype.endsWith('+json')) return 'json'
  return type === 'text' || subtype === 'xml' || subtype.endsWith('+xml') ? 'text' : 'bytes'
}
