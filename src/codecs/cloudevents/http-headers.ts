import type { EventHeaders, HeaderAttribute } from './headers.js'

const quoted = /"((?:[^"\\]|\\.)*)"/g
/** HTTP has no other characters but the tab, which no attribute has. */
const printable = /^[ -~]*$/

/**
 * What the headers of an HTTP request hold, given as names and values in turn: `ce-` and the name of an attribute, with
 * what is no printable ASCII as the UTF-8 of it, percent-encoded, and `content-type`.
 */
export function httpHeaders(namesAndValues: readonly string[]): EventHeaders {
  let contentType: string | undefined
  let isEvent = false
  const attributes: HeaderAttribute[] = []
  for (let index = 0; index + 1 < namesAndValues.length; index += 2) {
    const name = (namesAndValues[index] as string).toLowerCase()
    const value = (namesAndValues[index + 1] as string).trim()
    if (name === 'content-type') {
      contentType ??= value
      attributes.push({ name: 'datacontenttype', value })
    } else if (name.startsWith('ce-')) {
      isEvent = true
      attributes.push(attributeOf(name.slice(3), value))
    }
  }
  return { contentType, isEvent, attributes: () => attributes }
}

function attributeOf(name: string, value: string): HeaderAttribute {
  if (name === 'datacontenttype')
    return { name, value, problem: 'its header is content-type, and not ce-datacontenttype' }
  const text = printable.test(value) ? decoded(value) : undefined
  return text === undefined
    ? { name, value, problem: 'its header is not percent-encoded UTF-8' }
    : { name, value: text }
}

function decoded(value: string): string | undefined {
  const unquoted = value.replace(quoted, (_, inner: string) => inner.replace(/\\(.)/g, '$1'))
  try {
    return decodeURIComponent(unquoted)
  } catch {
    return undefined
  }
}
