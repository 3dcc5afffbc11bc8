import { crc32c } from '@node-rs/crc32'
import { MalformedError } from './protocol/malformed.js'
import { RecordCursor } from './record-cursor.js'

/** What the head of a batch says, and where its records lie. */
export interface BatchHead {
  readonly base: number
  /** The last offset; its record may be gone. */
  readonly last: number
  readonly count: number
  readonly leaderEpoch: number
  readonly baseTimestamp: number
  /** Where the broker gives times itself: that of all of these records. */
  readonly appendTime: number | undefined
  /** By Kafka's number, 0: none. */
  readonly compression: number
  readonly producer: bigint
  readonly isTransactional: boolean
  /** Its records are not for readers. */
  readonly isControl: boolean
  readonly start: number
  readonly end: number
}

const newestFormat = 2
const twoTo32 = 4_294_967_296
const abort = 0

/** Where the fields of a head lie. */
const field = {
  size: 8,
  leaderEpoch: 12,
  format: 16,
  checksum: 17,
  attributes: 21,
  lastDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producer: 43,
  count: 57,
  records: 61,
} as const

/**
 * The batch that begins there; undefined where not all of it is there. Errors: `MalformedError` where it is of another
 * format, contradicts itself or, where that counts, has not the checksum that it says.
 */
export function batchAt(bytes: Buffer, at: number, hasChecksum: boolean): BatchHead | undefined {
  if (bytes.length - at > field.format) checkFormat(bytes.readInt8(at + field.format), bytes, at)
  const end = at + neededAt(bytes, at)
  if (end > bytes.length) return undefined
  const checked = bytes.subarray(at + field.attributes, end)
  if (hasChecksum && crc32c(checked) !== bytes.readUInt32BE(at + field.checksum))
    throw new MalformedError('corrupt', `the batch at offset ${int64(bytes, at)} has not the checksum that it says`)
  return headAt(bytes, at, end)
}

/** How many bytes the batch that begins there has, or at least a head where not even that is there. */
export function neededAt(bytes: Buffer, at: number): number {
  if (bytes.length - at < field.leaderEpoch) return field.records
  const size = field.leaderEpoch + bytes.readInt32BE(at + field.size)
  if (size < field.records)
    throw new MalformedError('corrupt', `a batch of ${size} bytes at offset ${int64(bytes, at)}`)
  return size
}

/** Whether a control batch says that the transaction of its producer was aborted. */
export function isAbort(bytes: Buffer, { base, count, start, end, compression }: BatchHead): boolean {
  // The cleaner leaves nothing but the head of old ones.
  if (count === 0) return false
  const cursor = new RecordCursor(bytes, start)
  cursor.varint()
  cursor.at++
  cursor.varlong()
  cursor.varint()
  const size = cursor.varint()
  if (compression !== 0 || size < 4 || cursor.at + size > end)
    throw new MalformedError('corrupt', `the control batch at offset ${base} has no marker`)
  return bytes.readInt16BE(cursor.at + 2) === abort
}

function headAt(bytes: Buffer, at: number, end: number): BatchHead {
  const attributes = bytes.readInt16BE(at + field.attributes)
  const base = int64(bytes, at)
  const lastDelta = bytes.readInt32BE(at + field.lastDelta)
  const count = bytes.readInt32BE(at + field.count)
  if (base < 0 || lastDelta < 0 || count < 0)
    throw new MalformedError('corrupt', `a batch of ${count} records from offset ${base} to ${base + lastDelta}`)
  return {
    base,
    last: base + lastDelta,
    count,
    leaderEpoch: bytes.readInt32BE(at + field.leaderEpoch),
    baseTimestamp: int64(bytes, at + field.baseTimestamp),
    appendTime: (attributes & 0x08) === 0 ? undefined : int64(bytes, at + field.maxTimestamp),
    compression: attributes & 0x07,
    producer: bytes.readBigInt64BE(at + field.producer),
    isTransactional: (attributes & 0x10) !== 0,
    isControl: (attributes & 0x20) !== 0,
    start: at + field.records,
    end,
  }
}

function checkFormat(format: number, bytes: Buffer, at: number): void {
  if (format === newestFormat) return
  const what = `the batch at offset ${int64(bytes, at)} is of format ${format}`
  if (format > newestFormat || format < 0) throw new MalformedError('corrupt', what)
  throw new MalformedError('old-format', `${what}, as brokers before 0.11 wrote them`)
}

/** Exact up to 2^53. */
function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * twoTo32 + bytes.readUInt32BE(at + 4)
}
