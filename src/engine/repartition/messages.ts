import type { CodecVersion, Header, Key, StoreKey } from '../../model/index.js'
import { pack as packed, unpack as unpacked } from '../../state/index.js'

/** Stays below the size of a message that brokers take as they come. */
const maxBytes = 512 << 10

interface Sent {
  /** The source partition, and the generation of the task that has it. */
  readonly topic: string
  readonly partition: number
  readonly generation: number
}

/** A piece of what was combined of a source partition and group: `payload` is packed, and cut where it is large. */
export interface PartialMessage extends Sent {
  readonly kind: 'partial'
  readonly last: number
  readonly segment: number
  readonly key: StoreKey
  readonly version: CodecVersion
  readonly index: number
  readonly count: number
  readonly payload: Uint8Array
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
  readonly before: number
  readonly partitions?: number | undefined
}

export type Message = PartialMessage | RecordMessage | ToldMessage

const kinds = { partial: 1, record: 2, told: 3 } as const

export function pack(message: Message): Buffer {
  const { topic, partition, generation } = message
  const head = [kinds[message.kind], topic, partition, generation]
  switch (message.kind) {
    case 'partial': {
      const { last, segment, key, version, index, count, payload } = message
      return packed([...head, last, segment, key, version, index, count, payload])
    }
    case 'record': {
      const { offset, index, timestamp, behindMs, key, headers, value } = message
      return packed([...head, offset, index, timestamp, behindMs, key, headers, value])
    }
    case 'told': {
      const { position, watermark, idle, movedOnMs, total, before, partitions } = message
      const told = Number.isFinite(watermark) ? watermark : null
      return packed([...head, position, told, idle, total, before, partitions ?? null, movedOnMs])
    }
  }
}

type Head<K extends Message['kind']> = [kind: (typeof kinds)[K], topic: string, partition: number, generation: number]
type Fields<M, Names extends readonly (keyof M)[]> = { [I in keyof Names]: M[Names[I]] }
type Packed =
  | [...Head<'partial'>, ...Fields<PartialMessage, ['last', 'segment', 'key', 'version', 'index', 'count', 'payload']>]
  | [
      ...Head<'record'>,
      ...Fields<RecordMessage, ['offset', 'index', 'timestamp', 'behindMs', 'key', 'headers', 'value']>,
    ]
  | [
      ...Head<'told'>,
      position: number,
      watermark: number | null,
      idle: boolean,
      total: number,
      before?: number,
      partitions?: number | null,
      movedOnMs?: number,
    ]

/** Errors with a TypeError when the bytes are no message of a version that is known. */
export function unpack(bytes: Uint8Array): Message {
  const fields = unpacked(bytes) as Packed
  const [kind, topic, partition, generation] = fields
  const sent = { topic, partition, generation }
  switch (kind) {
    case kinds.partial: {
      const [, , , , last, segment, key, version, index, count, payload] = fields
      return { kind: 'partial', ...sent, last, segment, key, version, index, count, payload }
    }
    case kinds.record: {
      const [, , , , offset, index, timestamp, behindMs, key, headers, value] = fields
      return { kind: 'record', ...sent, offset, index, timestamp, behindMs, key, headers, value }
    }
    case kinds.told: {
      const [, , , , position, far, idle, total, before = 0, count, movedOnMs = 0] = fields
      const [watermark, partitions] = [far ?? Number.NEGATIVE_INFINITY, count ?? undefined]
      return { kind: 'told', ...sent, position, watermark, idle, movedOnMs, total, before, partitions }
    }
    default:
      throw new TypeError(`a message of kind ${String(kind)} is not known`)
  }
}

/** What was combined, packed and cut into pieces that a broker takes. */
export function piecesOf(saved: unknown): Uint8Array[] {
  const bytes = packed(saved)
  const pieces: Uint8Array[] = []
  for (let from = 0; from < bytes.length; from += maxBytes) pieces.push(bytes.subarray(from, from + maxBytes))
  return pieces
}

export function joined(pieces: readonly Uint8Array[]): unknown {
  return unpacked(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces))
}
