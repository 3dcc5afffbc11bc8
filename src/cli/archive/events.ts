import type { ReadRow } from '../../codecs/archive/file-reader.js'
import { jsonOf, mediaTypeOfData } from '../../codecs/cloudevents/data.js'
import {
  type CloudEventInput,
  EventWriter,
  isEventHeader,
  kafkaHeaders,
  MessageReader,
  type Written,
} from '../../codecs/cloudevents/index.js'
import { modeOf } from '../../codecs/cloudevents/message.js'
import { asWeirError, type Header } from '../../model/index.js'

/** What was taken in was less deep, whatever its stage was told. */
const depth = 2_000

const raw = { data: 'raw', depth } as const
const structured = new EventWriter({ mode: 'structured', ...raw })
const binary = new EventWriter({ mode: 'binary', ...raw })
const reader = new MessageReader({ ...raw, bigIntegers: 'text' })

/** The event of a row, as it was. */
export function eventOf({ id, source, type, extensions, ...row }: ReadRow): CloudEventInput {
  const { subject, time, datacontenttype, dataschema } = row
  const attributes = { subject, time, datacontenttype, dataschema, data: dataOf(row) }
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined)
  return { id, source, type, extensions, ...Object.fromEntries(given) }
}

/** An event as JSON, in one line. Errors: `CloudEventError` when a stage has made of it what is none. */
export function lineOf(row: ReadRow): string {
  const { value } = structured.write(eventOf(row))
  // In a text of JSON they are escaped: what is left of them is white space.
  return String(value).replace(/[\r\n]+/g, ' ')
}

/** A message, and how many events it holds. */
export interface WrittenEvents extends Written {
  readonly events: number
}

/**
 * The messages that some events came in, which have one offset: one, unless a stage has made several events of it. Headers are
 * as they were, and values as the headers say. Where the headers would say something else of the event than is archived, those
 * of the event take their place.
 * Errors: as `lineOf`.
 */
export function messagesOf(rows: readonly [ReadRow, ...ReadRow[]]): readonly WrittenEvents[] {
  const [{ topic, partition, offset }] = rows
  try {
    return written(rows)
  } catch (error) {
    throw asWeirError(error, 'WEIR_TASK_UNEXPECTED', { partition: { topic, partition }, offset })
  }
}

function written(rows: readonly [ReadRow, ...ReadRow[]]): readonly WrittenEvents[] {
  const headers = headersOf(rows[0])
  const { contentType, isEvent } = kafkaHeaders(headers)
  const mode = contentType === undefined ? (isEvent ? 'binary' : 'structured') : modeOf(contentType)
  if (mode === 'batch') return [{ value: Buffer.from(`[${rows.map(textOf).join()}]`), headers, events: rows.length }]
  if (mode === 'structured') return rows.map((row) => ({ value: Buffer.from(textOf(row)), headers, events: 1 }))
  return rows.map((row) => ({ ...inBinary(row, headers), events: 1 }))
}

function inBinary(row: ReadRow, headers: readonly Header[]): Written {
  const own = binary.write(eventOf(row))
  return isOf(own.value, headers, row) ? { value: own.value, headers } : merged(own, headers)
}

/** A header without a value, which no client can write, becomes an empty one. */
function headersOf({ headers }: ReadRow): readonly Header[] {
  return headers.map((header) =>
    Object.fromEntries(Object.entries(header).map(([name, value]) => [name, value ?? Buffer.alloc(0)])),
  )
}

function textOf(row: ReadRow): string {
  return String(structured.write(eventOf(row)).value)
}

function isOf(value: Buffer | null, headers: readonly Header[], row: ReadRow): boolean {
  try {
    const read = reader.read(value, kafkaHeaders(headers))
    return !('members' in read) && textOf(row) === String(structured.write(read).value)
  } catch {
    return false
  }
}

function merged({ value, headers: own }: Written, recorded: readonly Header[]): Written {
  const isOther = (header: Header) => Object.keys(header).every((name) => !isEventHeader(name))
  return { value, headers: [...recorded.filter(isOther), ...own] }
}

/** Bytes where they were; text where it is text, or JSON. */
function dataOf({
  data,
  dataBytes,
  datacontenttype,
}: Pick<ReadRow, 'data' | 'dataBytes' | 'datacontenttype'>): unknown {
  if (dataBytes !== undefined || data === undefined) return dataBytes
  return mediaTypeOfData(datacontenttype).kind === 'json' && !isJson(data) ? JSON.stringify(data) : data
}

/** Text that was parsed before it was archived is no longer JSON. */
function isJson(text: string): boolean {
  try {
    jsonOf(Buffer.from(text), text, depth)
    return true
  } catch {
    return false
  }
}
