import { inspect } from 'node:util'
import { type DeadLetter, type Header, messageOf, noHeaders, place, stackOf } from '../model/index.js'
import { bytesOf } from './bytes.js'
import { type ClientError, codes } from './client.js'
import { isTooLarge } from './faults.js'
import type { OutgoingMessage } from './producer.js'

/** How much of a value is tried, when more was refused, bytes. */
const valueBytes = [900_000, 90_000, 9_000, 900, 0]
/** How much of the record's own headers and key is kept beside that, bytes. */
const [headerBytes, keyBytes] = [100_000, 10_000]
/** A cause's text may hold the record once more. */
const [messageBytes, stackBytes] = [4_000, 16_000]
/** Below this the text of the cause goes as well. */
const bareBytes = 900

/** What of a dead letter was refused before, and so is written in another way. */
export interface Draft {
  readonly letter: DeadLetter
  /** How often less of it was tried. */
  readonly cuts: number
  /** Whether the time of the record was refused. */
  readonly isNow: boolean
  /** Whether a record without a key was refused. */
  readonly isKeyed: boolean
}

export function draftOf(letter: DeadLetter): Draft {
  return { letter, cuts: 0, isNow: false, isKeyed: false }
}

/** What to try after a refusal; undefined when it was not for anything that a letter can do without. */
export function nextDraft(draft: Draft, error: ClientError): Draft | undefined {
  if (isTooLarge(error)) return draft.cuts < valueBytes.length ? { ...draft, cuts: draft.cuts + 1 } : undefined
  if (error.code === codes.invalidTimestamp) return draft.isNow ? undefined : { ...draft, isNow: true }
  if (error.code === codes.invalidRecord) return draft.isKeyed ? undefined : { ...draft, isKeyed: true }
  return undefined
}

/**
 * Key, value, timestamp and headers as they were read; where nothing was read, the record as the stage had it. What can't
 * be written as it is, is written as far as it can, and `weir.cut` says of what there is less.
 */
export function messageFor(letter: DeadLetter, topic: string, app: string, draft = draftOf(letter)): OutgoingMessage {
  const { record } = letter
  const { origin } = record
  const limit = valueBytes[draft.cuts - 1] ?? Number.POSITIVE_INFINITY
  const cuts: string[] = []
  const value = cut(readable(origin.value === undefined ? record.value : origin.value, cuts), limit, 'value', cuts)
  const key = keyOf(draft, cuts)
  const timestamp = timeOf(draft, cuts)
  const headers = headersOf(origin.headers ?? noHeaders, draft.cuts > 0 ? Math.min(headerBytes, limit) : Infinity, cuts)
  return {
    topic,
    key,
    value: value.bytes,
    timestamp,
    headers: [...headers, ...reasons(letter, app, limit), ...cutHeaders(cuts, value.size, origin.timestamp)],
  }
}

/** A value as bytes, whatever it is: what JSON does not have is described. */
function readable(value: unknown, cuts: string[]): Buffer | null {
  try {
    return bytesOf(value)
  } catch {
    cuts.push('form')
    return Buffer.from(described(value))
  }
}

function described(value: unknown): string {
  try {
    return inspect(value, { depth: 4, maxArrayLength: 1_000, maxStringLength: 100_000, customInspect: false })
  } catch (error) {
    return `a ${typeof value} that can't be shown: ${messageOf(error)}`
  }
}

function cut(bytes: Buffer | null, limit: number, what: string, cuts: string[]) {
  const size = bytes?.length ?? 0
  if (bytes === null || size <= limit) return { bytes, size }
  cuts.push(what)
  return { bytes: bytes.subarray(0, limit), size }
}

function keyOf({ letter, cuts: times, isKeyed }: Draft, cuts: string[]): Buffer | string | null {
  const { record } = letter
  const given = record.origin.key === undefined ? record.key : record.origin.key
  if (isKeyed && (given === null || given === undefined)) return place(record.origin)
  const bytes = typeof given === 'string' && times === 0 ? given : readable(given, cuts)
  return typeof bytes === 'string' ? bytes : cut(bytes, times > 0 ? keyBytes : Infinity, 'key', cuts).bytes
}

/** The client would make now of 0 or NaN, and some topics take no time that is far away. */
function timeOf({ letter: { record }, isNow }: Draft, cuts: string[]): number {
  const time = record.origin.timestamp ?? record.timestamp
  if (!isNow && Number.isSafeInteger(Math.trunc(time))) return time
  cuts.push('timestamp')
  return Date.now()
}

/** As many of them as there is room for; what is no header becomes the text of one. */
function headersOf(headers: readonly Header[], limit: number, cuts: string[]): Header[] {
  const kept: Header[] = []
  let left = limit
  for (const [name, value] of headers.flatMap((header) => Object.entries(header ?? {}) as [string, unknown][])) {
    const held = typeof value === 'string' ? value : (readable(value, cuts) ?? '')
    left -= Buffer.byteLength(name) + held.length
    if (left < 0) continue
    // The client writes an empty buffer as null, but an empty text as what it is.
    kept.push({ [name]: held.length === 0 ? '' : held })
  }
  if (left < 0) cuts.push('headers')
  return kept
}

function reasons({ record, error, flow, stage, attempts }: DeadLetter, app: string, limit: number): Header[] {
  const { topic, partition, offset } = record.origin
  const cause = error.cause instanceof Error ? error.cause : error
  const connector = `${app}.${flow}`
  const texts = [
    { '__connect.errors.exception.message': shortened(error.message, messageBytes) },
    { '__connect.errors.exception.stacktrace': shortened(stackOf(cause), stackBytes) },
  ]
  return [
    { '__connect.errors.topic': topic },
    { '__connect.errors.partition': String(partition) },
    { '__connect.errors.offset': String(offset) },
    { '__connect.errors.connector.name': connector },
    { '__connect.errors.task.id': '0' },
    { '__connect.errors.stage': stage },
    { '__connect.errors.class.name': stage },
    { '__connect.errors.exception.class.name': cause.name },
    ...(limit > bareBytes ? texts : []),
    { 'weir.flow': flow },
    { 'weir.stage': stage },
    { 'weir.attempts': String(attempts) },
    { 'weir.error.code': error.code },
  ]
}

/** What of the record is not as it was, how large its value was, and when it is of; `__connect.errors.*` say where it lies. */
function cutHeaders(cuts: readonly string[], bytes: number, timestamp: number | undefined): Header[] {
  if (cuts.length === 0) return []
  const time = cuts.includes('timestamp') && timestamp !== undefined ? [{ 'weir.timestamp': String(timestamp) }] : []
  return [{ 'weir.cut': [...new Set(cuts)].join() }, { 'weir.value.bytes': String(bytes) }, ...time]
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`
}
