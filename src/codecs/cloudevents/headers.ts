import type { Header } from '../../model/index.js'
import { utf8Text } from '../utf8.js'

/** What a header says of an event: an attribute, or why it can't be read. */
export interface HeaderAttribute {
  readonly name: string
  readonly value: string
  readonly problem?: string
}

/** What the headers of a message hold of an event. */
export interface EventHeaders {
  readonly contentType: string | undefined
  /** In the order in which they came; the content type is one of them, `datacontenttype`. */
  readonly attributes: readonly HeaderAttribute[]
  /** Whether there is an attribute besides that. */
  readonly isEvent: boolean
}

const none: EventHeaders = { contentType: undefined, attributes: [], isEvent: false }
const prefix = /^ce_/i

/** Whether a header of a record is part of an event. Case does not count: what comes from HTTP has lost it. */
export function isEventHeader(name: string): boolean {
  return prefix.test(name) || isContentType(name)
}

/** What the headers of a Kafka record hold: `ce_` and the name of an attribute, in UTF-8, and `content-type`. */
export function kafkaHeaders(headers: readonly Header[]): EventHeaders {
  if (headers.length === 0) return none
  let contentType: string | undefined
  let isEvent = false
  const attributes: HeaderAttribute[] = []
  for (const header of headers) {
    for (const name in header) {
      if (!isEventHeader(name)) continue
      const own = isContentType(name)
      const attribute = attributeOf(own ? 'datacontenttype' : name.slice(3).toLowerCase(), header[name])
      attributes.push(attribute)
      if (own) contentType ??= attribute.value
      else isEvent = true
    }
  }
  return { contentType, attributes, isEvent }
}

function isContentType(name: string): boolean {
  return name.length === 12 && name.toLowerCase() === 'content-type'
}

function attributeOf(name: string, value: unknown): HeaderAttribute {
  const text = Buffer.isBuffer(value) ? utf8Text(value) : String(value)
  return text === undefined ? { name, value: '', problem: 'its header is no UTF-8' } : { name, value: text }
}
