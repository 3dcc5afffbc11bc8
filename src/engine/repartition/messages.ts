import { type CodecVersion, type Header, type Key, noHeaders, type Origin, type StoreKey } from '../../model/index.js'
import { pack as packValue, piecesOf, unpack as unpackValue } from '../../state/index.js'

/** How large a message may be, bytes: what brokers take as they come, and the least that it is worth to try. */
export const messageBytes = { usual: 512 << 10, least: 2 << 10 } as const

interface Sent {
  /** The source partition, and the generation of the task that has it. */
  readonly topic: string
  readonly partition: number
  readonly generation: number
}

/** What was combined of a source partition and group. */
export interface PartialMessage extends Sent {
  readonly kind: 'partial'
  readonly last: number
  readonly segment: number
  readonly key: StoreKey
  readonly version: CodecVersion
  readonly saved: unknown
}

/** A piece of a message that is too large for one. */
export interface PieceMessage extends Sent {
  readonly kind: 'piece'
  readonly index: number
  readonly count: number
  readonly payload: Uint8Array
}

/** What the source read of a record, where it may have to become a dead letter. */
export type AsRead = Pick<Origin, 'key' | 'value' | 'timestamp' | 'headers'>

/** A record ahead of the partial result that it will be in. */
export interface AheadMessage extends Sent {
  readonly kind: 'ahead'
  readonly offset: number
  readonly segment: number
  readonly key: StoreKey
  readonly headers: readonly Header[]
  readonly asRead: AsRead | undefined
}

/** A record under its new key. */
export interface RecordMessage extends Sent {
  readonly kind: 'record'
  readonly offset: number
  /** Which of the records that were made of the one at this offset. */
  readonly index: number
  readonly timestamp: number
  readonly behindMs: number
  readonly key: Key
  readonly headers: readonly Header[]
  readonly value: unknown
  readonly asRead?: AsRead | undefined
}

/** How far a source partition has come. */
export interface ToldMessage extends Sent {
  readonly kind: 'told'
  readonly position: number
  /** -Infinity before the first record. */
  readonly watermark: number
  readonly idle: boolean
  readonly movedOnMs: number
  readonly total: number
  readonly id?: string | undefined
  readonly before: number
  readonly partitions?: number | undefined
  readonly timeSets?: number | undefined
  /** The topics that its task reads: nothing is left of any others. Told by the first partition of the first of them alone. */
  readonly reads?: readonly string[] | undefined
}

export type Message = PartialMessage | AheadMessage | RecordMessage | ToldMessage | PieceMessage

const kinds = { record: 2, told: 3, ahead: 4, piece: 5, partial: 6 } as const

/** A message, cut into pieces that a broker takes: whatever a source has read goes on, however large it is. */
export function packed(message: PartialMessage | AheadMessage | RecordMessage, mostBytes: number): Buffer[] {
  const bytes = pack(message)
  if (bytes.length <= mostBytes) return [bytes]
  const { topic, partition, generation } = message
  const pieces = piecesOf(bytes, mostBytes)
  return pieces.map((payload, index) =>
    pack({ kind: 'piece', topic, partition, generation, index, count: pieces.length, payload }),
  )
}

export function pack(message: Message): Buffer {
  const { topic, partition, generation } = message
  const head = [kinds[message.kind], topic, partition, generation]
  switch (message.kind) {
    case 'partial': {
      const { last, segment, key, version, saved } = message
      return packValue([...head, last, segment, key, version, saved])
    }
    case 'ahead': {
      const { offset, segment, key, headers, asRead } = message
      return packValue([...head, offset, segment, key, headers, fieldsOf(asRead, headers)])
    }
    case 'record': {
      const { offset, index, timestamp, behindMs, key, headers, value, asRead } = message
      return packValue([...head, offset, index, timestamp, behindMs, key, headers, value, fieldsOf(asRead, headers)])
    }
    case 'piece':
      return packValue([...head, message.index, message.count, message.payload])
    case 'told': {
      const { position, watermark, idle, movedOnMs, total, before, partitions, timeSets, id, reads } = message
      const told = Number.isFinite(watermark) ? watermark : null
      const place = [position, told, idle, total, before, partitions ?? null]
      const more = reads !== undefined ? [id ?? null, reads] : id !== undefined ? [id] : []
      return packValue([...head, ...place, movedOnMs, timeSets ?? 0, ...more])
    }
  }
}

type AsReadFields = readonly [key: unknown, value: unknown, timestamp: unknown, headers: unknown]

/** Headers that are those of the record are written once. */
function fieldsOf(asRead: AsRead | undefined, headers: readonly Header[]): AsReadFields | null {
  if (asRead === undefined) return null
  return [asRead.key, asRead.value, asRead.timestamp, asRead.headers === headers ? null : (asRead.headers ?? noHeaders)]
}

function asReadOf(fields: AsReadFields | null | undefined, headers: readonly Header[]): AsRead | undefined {
  if (!fields) return undefined
  const [key, value, timestamp, own] = fields
  return { key, value, timestamp, headers: own ?? headers } as AsRead
}

type Head<K extends Message['kind']> = [kind: (typeof kinds)[K], topic: string, partition: number, generation: number]
type Fields<M, Names extends readonly (keyof M)[]> = { [I in keyof Names]: M[Names[I]] }
type Packed =
  | [...Head<'partial'>, ...Fields<PartialMessage, ['last', 'segment', 'key', 'version', 'saved']>]
  | [
      ...Head<'record'>,
      ...Fields<RecordMessage, ['offset', 'index', 'timestamp', 'behindMs', 'key', 'headers', 'value']>,
      asRead: AsReadFields | null | undefined,
    ]
  | [...Head<'ahead'>, ...Fields<AheadMessage, ['offset', 'segment', 'key', 'headers']>, asRead: AsReadFields | null]
  | [...Head<'piece'>, ...Fields<PieceMessage, ['index', 'count', 'payload']>]
  | [
      ...Head<'told'>,
      position: number,
      watermark: number | null,
      idle: boolean,
      total: number,
      before?: number,
      partitions?: number | null,
      movedOnMs?: number,
      timeSets?: number,
      id?: string | null,
      reads?: readonly string[],
    ]

/** Errors with a TypeError when the bytes are no message of a version that is known. */
export function unpack(bytes: Uint8Array): Message {
  const fields = unpackValue(bytes) as Packed
  const [kind, topic, partition, generation] = fields
  const sent = { topic, partition, generation }
  switch (kind) {
    case kinds.partial: {
      const [, , , , last, segment, key, version, saved] = fields
      return { kind: 'partial', ...sent, last, segment, key, version, saved }
    }
    case kinds.record: {
      const [, , , , offset, index, timestamp, behindMs, key, headers, value, read] = fields
      const asRead = asReadOf(read, headers)
      return { kind: 'record', ...sent, offset, index, timestamp, behindMs, key, headers, value, asRead }
    }
    case kinds.ahead: {
      const [, , , , offset, segment, key, headers, read] = fields
      return { kind: 'ahead', ...sent, offset, segment, key, headers, asRead: asReadOf(read, headers) }
    }
    case kinds.piece: {
      const [, , , , index, count, payload] = fields
      return { kind: 'piece', ...sent, index, count, payload }
    }
    case kinds.told: {
      const [, , , , position, far, idle, total, before = 0, count, movedOnMs = 0, timeSets = 0, its, reads] = fields
      const [watermark, partitions, id] = [far ?? Number.NEGATIVE_INFINITY, count ?? undefined, its ?? undefined]
      const place = { position, id, before, partitions, total }
      return { kind: 'told', ...sent, ...place, watermark, idle, movedOnMs, timeSets, reads }
    }
    default:
      throw new TypeError(`a message of kind ${String(kind)} is not known`)
  }
}
