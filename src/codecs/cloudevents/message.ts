import { messageOf, WeirError } from '../../model/index.js'
import { utf8Text } from '../utf8.js'
import { readBinary } from './binary.js'
import { type DataOptions, DataReader } from './data.js'
import { CloudEventError, shown } from './error.js'
import type { CloudEvent } from './event.js'
import type { EventHeaders } from './headers.js'
import { closeArray, comma, JsonCursor, JsonToken, openArray } from './json-cursor.js'
import { Names } from './names.js'
import { readStructured } from './structured.js'

/** An event of a batch, or what is wrong with it, and its JSON. */
export interface Member {
  readonly event: CloudEvent | CloudEventError
  readonly json: string
}

/** The events of a batch. */
export interface Batched {
  readonly members: readonly Member[]
}

/** How an event lies in a message. */
export type MessageMode = 'structured' | 'batch' | 'binary' | 'unknown'

const json = /^application\/cloudevents(-batch)?\+json[ \t]*(?:;|$)/i
const family = /^application\/cloudevents/i

/** Reads what a message holds: an event as JSON, one whose attributes are headers, or a batch. */
export class MessageReader {
  private readonly reader: DataReader
  private readonly names = new Names()
  private lastType: string | undefined = ''
  private lastMode: MessageMode = 'binary'

  constructor(private readonly options: DataOptions) {
    this.reader = new DataReader(options)
  }

  /**
   * Reads the event of a message, or all events of a batch. A message that has no content type, and no attribute as a
   * header, can only be an event as JSON.
   * Errors: WEIR_RECORD_MALFORMED when it is no JSON or UTF-8, or another format, `CloudEventError` when it is no event.
   */
  read(value: unknown, headers: EventHeaders): CloudEvent | Batched {
    const mode = this.modeOf(headers)
    if (mode === 'unknown') throw unknownFormat(headers.contentType)
    if (mode === 'binary') return readBinary(bytesOf(value), headers, this.reader)
    const bytes = bytesOf(value)
    if (bytes === null) throw malformed('the value is null (a tombstone)', 'Filter tombstones out before.')
    const text = utf8Text(bytes)
    if (text === undefined) throw malformed('the bytes are no UTF-8')
    const { data, depth } = this.options
    // Parsed data does not hold the text, and an event of a batch must not hold all of it.
    const cursor = new JsonCursor(bytes, text, depth, data === 'parsed' || mode === 'batch')
    try {
      const read = mode === 'batch' ? this.batch(cursor) : readStructured(cursor, this.names, this.reader)
      cursor.end()
      return read
    } catch (error) {
      throw error instanceof SyntaxError ? malformed(messageOf(error)) : error
    }
  }

  private modeOf({ contentType, isEvent }: EventHeaders): MessageMode {
    if (contentType === undefined) return isEvent ? 'binary' : 'structured'
    if (contentType !== this.lastType) {
      this.lastType = contentType
      this.lastMode = modeOf(contentType)
    }
    return this.lastMode
  }

  private batch(cursor: JsonCursor): Batched {
    if (cursor.peek() !== openArray) throw noArray(cursor.value())
    const members: Member[] = []
    cursor.expect(openArray)
    if (!cursor.takes(closeArray)) {
      do members.push(this.member(cursor))
      while (cursor.takes(comma))
      cursor.expect(closeArray)
    }
    return { members }
  }

  private member(cursor: JsonCursor): Member {
    cursor.peek()
    const start = cursor.at
    const event = attempt(() => readStructured(cursor, this.names, this.reader))
    return { event, json: cursor.since(start) }
  }
}

/** Whether a content type is that of events in a format that is not read here. */
export function isUnknownFormat(contentType: string | undefined): boolean {
  return contentType !== undefined && modeOf(contentType) === 'unknown'
}

/** Of a message with this content type. */
export function modeOf(contentType: string): MessageMode {
  const match = json.exec(contentType)
  if (match !== null) return match[1] === undefined ? 'structured' : 'batch'
  return family.test(contentType) ? 'unknown' : 'binary'
}

function attempt(read: () => CloudEvent): CloudEvent | CloudEventError {
  try {
    return read()
  } catch (error) {
    if (error instanceof CloudEventError) return error
    throw error
  }
}

function bytesOf(value: unknown): Buffer | null {
  if (value === null || Buffer.isBuffer(value)) return value
  if (typeof value === 'string') {
    if (value.isWellFormed()) return Buffer.from(value)
    throw malformed('text with half of a surrogate pair has no UTF-8')
  }
  throw malformed(`expected bytes or text, got ${typeof value}`, 'The stage before has decoded already.')
}

function unknownFormat(contentType: string | undefined): WeirError {
  return malformed(`${shown(contentType)} is no format that is read here`, 'Send application/cloudevents+json.')
}

function noArray(json: string): CloudEventError {
  return new CloudEventError([{ path: '', message: `expected an array of events, got ${shown(new JsonToken(json))}` }])
}

function malformed(what: string, hint?: string): WeirError {
  const details = hint === undefined ? {} : { hint }
  return new WeirError('WEIR_RECORD_MALFORMED', `reading a CloudEvent: ${what}`, details)
}
