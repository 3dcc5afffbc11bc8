import { crc32c } from '@node-rs/crc32'
import type { DecodedRecords } from '../../src/kafka/fetch/record-batch.js'
import type { Header } from '../../src/model/index.js'

/** A record as the log holds it. */
export interface LoggedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

export interface LoggedBatch {
  readonly base: number
  readonly last: number
  readonly records: readonly LoggedRecord[]
  readonly leaderEpoch?: number
  /** By Kafka's number, and what does it. */
  readonly compression?: readonly [number: number, compress: (raw: Buffer) => Buffer]
  readonly appendTime?: number | undefined
  readonly producer?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
}

const headSize = 61

/** A batch of format 2, written by the book and without a thought of speed. */
export function encodeBatch(batch: LoggedBatch): Buffer {
  const baseTimestamp = batch.records[0]?.timestamp ?? 0
  const raw = Buffer.concat(batch.records.map((record) => encodeRecord(record, batch.base, baseTimestamp)))
  const [number, compress] = batch.compression ?? [0, (bytes: Buffer) => bytes]
  const payload = compress(raw)
  const head = Buffer.alloc(headSize)
  head.writeBigInt64BE(BigInt(batch.base), 0)
  head.writeInt32BE(headSize - 12 + payload.length, 8)
  head.writeInt32BE(batch.leaderEpoch ?? -1, 12)
  head.writeInt8(2, 16)
  const bits = [batch.appendTime !== undefined, batch.isTransactional === true, batch.isControl === true]
  head.writeInt16BE(
    bits.reduce((all, bit, index) => all | (Number(bit) << (index + 3)), number),
    21,
  )
  head.writeInt32BE(batch.last - batch.base, 23)
  head.writeBigInt64BE(BigInt(baseTimestamp), 27)
  head.writeBigInt64BE(BigInt(batch.appendTime ?? baseTimestamp), 35)
  head.writeBigInt64BE(BigInt(batch.producer ?? -1), 43)
  head.writeInt16BE(0, 51)
  head.writeInt32BE(-1, 53)
  head.writeInt32BE(batch.records.length, 57)
  return signed(Buffer.concat([head, payload]))
}

/** Gives a batch the checksum of what it holds. */
export function signed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** A batch that ends a transaction. */
export function marker(offset: number, producer: number, isCommit: boolean): LoggedBatch {
  const key = Buffer.from([0, 0, 0, isCommit ? 1 : 0])
  const record = { offset, timestamp: 1, key, value: Buffer.alloc(6), headers: [] }
  return { base: offset, last: offset, records: [record], producer, isTransactional: true, isControl: true }
}

function encodeRecord(record: LoggedRecord, base: number, baseTimestamp: number): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(record.timestamp - baseTimestamp),
    varint(record.offset - base),
    sized(record.key),
    sized(record.value),
    varint(record.headers.length),
    ...record.headers.flatMap(([name, value]) => [sized(Buffer.from(name)), sized(value)]),
  ])
  return Buffer.concat([varint(body.length), body])
}

function sized(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value)
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

/** Headers with those that have no value as the log has them: the client has an empty Buffer of its own for that. */
export function headersShown(header: Header): [string, Buffer | null][] {
  return Object.entries(header as Record<string, Buffer>).map(([name, value]) => [
    name,
    value.buffer.byteLength === 0 ? null : value,
  ])
}

/** What readers have of the records. */
export function recordsShown({ records }: DecodedRecords): LoggedRecord[] {
  return records.flatMap((of) =>
    Array.from({ length: of.count }, (_, index) => ({
      offset: of.offset(index),
      timestamp: of.timestamp(index),
      key: of.key(index),
      value: of.value(index),
      headers: of.headers(index).flatMap(headersShown),
    })),
  )
}
