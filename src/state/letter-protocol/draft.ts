import { inspect } from 'node:util'
import {
  bytesOf,
  type DeadLetter,
  type Header,
  type Key,
  messageOf,
  noHeaders,
  place,
  stackOf,
} from '../../model/index.js'

/** What a topic may hold against a letter: its size, a time that is too far away, or that there is no key. */
export type Refusal = 'size' | 'timestamp' | 'key'

/** A letter as it is written. */
export interface LetterMessage {
  readonly key: Key
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: readonly Header[]
}

/** Who writes, and when. */
interface Writer {
  readonly app: string
  /** ms. */
  readonly now: number
}

/** How much of a value is tried, when more was refused, bytes. */
const valueBytes = [900_000, 90_000, 9_000, 900, 0]
/** How much of the record's own headers and key is kept beside that, bytes. */
const [headerBytes, keyBytes] = [100_000, 10_000]
/** A cause's text may hold the record once more. */
const [messageBytes, stackBytes] = [4_000, 16_000]
/** Below this the text of the cause goes as well, and more of the key than this. */
const [bareBytes, bareKeyBytes] = [900, 100]

/** A dead letter, and what of it was refused before, so that it is written in another way. */
export class Draft {
  constructor(
    readonly letter: DeadLetter,
    /** How often less of it was tried. */
    private readonly cuts = 0,
    /** Whether the time of the record was refused. */
    private readonly isNow = false,
    /** Whether a record without a key was refused. */
    private readonly isKeyed = false,
  ) {}

  /** What to try after a refusal; undefined when it was not for anything that a letter can do without. */
  next(refusal: Refusal | undefined): Draft | undefined {
    const { letter, cuts, isNow, isKeyed } = this
    if (refusal === 'size' && cuts < valueBytes.length) return new Draft(letter, cuts + 1, isNow, isKeyed)
    if (refusal === 'timestamp' && !isNow) return new Draft(letter, cuts, true, isKeyed)
    if (refusal === 'key' && !isKeyed) return new Draft(letter, cuts, isNow, true)
    return undefined
  }

  /**
   * Key, value, timestamp and headers as they were read; where nothing was read, the record as the stage had it. What can't
   * be written as it is, is written as far as it can, and `weir.cut` says of what there is less.
   */
  message({ app, now }: Writer): LetterMessage {
    const { record } = this.letter
    const { origin } = record
    const cuts: string[] = []
    const value = cut(
      readable(origin.value === undefined ? record.value : origin.value, cuts),
      this.limit,
      'value',
      cuts,
    )
    const key = this.key(cuts)
    const timestamp = this.timestamp(now, cuts)
    const ownBytes = this.cuts > 0 ? Math.min(headerBytes, this.limit) : Number.POSITIVE_INFINITY
    const headers = headersOf(origin.headers ?? noHeaders, ownBytes, cuts)
    return {
      key,
      value: value.bytes,
      timestamp,
      headers: [
        ...headers,
        ...reasons(this.letter, app, this.limit),
        ...cutHeaders(cuts, value.size, origin.timestamp),
      ],
    }
  }

  /** How much of the value is written, bytes. */
  private get limit(): number {
    return valueBytes[this.cuts - 1] ?? Number.POSITIVE_INFINITY
  }

  private key(cuts: string[]): Key {
    const { record } = this.letter
    const given = record.origin.key === undefined ? record.key : record.origin.key
    if (this.isKeyed && (given === null || given === undefined)) {
      cuts.push('key')
      return place(record.origin)
    }
    if (this.cuts === 0 && typeof given === 'string') return given
    const most = this.cuts === 0 ? Number.POSITIVE_INFINITY : Math.min(keyBytes, Math.max(bareKeyBytes, this.limit))
    return cut(readable(given, cuts), most, 'key', cuts).bytes
  }

  /** The client would make now of 0 or NaN, and some topics take no time that is far away. */
  private timestamp(now: number, cuts: string[]): number {
    const { record } = this.letter
    const time = record.origin.timestamp ?? record.timestamp
    if (!this.isNow && Number.isSafeInteger(Math.trunc(time))) return time
    cuts.push('timestamp')
    return now
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
