import type { Header } from '../../model/index.js'
import { utf8Reader, utf8Text } from '../utf8.js'

const contentTypeOf = utf8Reader()

/** What a header says of an event: an attribute, or why it can't be read. */
export interface HeaderAttribute {
  readonly name: string
  readonly value: string
  readonly problem?: string
}

/** What the headers of a message hold of an event. */
export interface EventHeaders {
  readonly contentType: string | undefined
  /** Whether an attribute is among them. */
  readonly isEvent: boolean
  /** The attributes in the order in which they came; the content type is one of them, `datacontenttype`. */
  attributes(): readonly HeaderAttribute[]
}

/** Whether a header of a record is part of an event. Case does not count: what comes from HTTP has lost it. */
export function isEventHeader(name: string): boolean {
  return isAttribute(name) || isContentType(name)
}

/** What the headers of a Kafka record hold: `ce_` and the name of an attribute, in UTF-8, and `content-type`. */
export function kafkaHeaders(headers: readonly Header[]): EventHeaders {
  let contentType: string | undefined
  let isEvent = false
  for (const header of headers) {
    for (const name in header) {
      if (isContentType(name)) contentType ??= textOf(header[name], contentTypeOf)
      else if (isAttribute(name)) isEvent = true
    }
  }
  return { contentType, isEvent, attributes: () => attributesOf(headers) }
}

function attributesOf(headers: readonly Header[]): HeaderAttribute[] {
  return headers.flatMap(Object.entries<unknown>).flatMap(([name, value]) => {
    if (!isEventHeader(name) || value === null) return []
    const own = isContentType(name) ? 'datacontenttype' : name.slice(3).toLowerCase()
    const text = textOf(value)
    return text === undefined ? { name: own, value: '', problem: 'its header is no UTF-8' } : { name: own, value: text }
  })
}

/** `ce_…` */
function isAttribute(name: string): boolean {
  return name.charCodeAt(2) === 0x5f && (name.charCodeAt(0) | 0x20) === 0x63 && (name.charCodeAt(1) | 0x20) === 0x65
}

function isContentType(name: string): boolean {
  return name === 'content-type' || (name.length === 12 && name.toLowerCase() === 'content-type')
}

function textOf(value: unknown, read = utf8Text): string | undefined {
  if (Buffer.isBuffer(value)) return read(value)
  return typeof value === 'string' ? value : undefined
}
