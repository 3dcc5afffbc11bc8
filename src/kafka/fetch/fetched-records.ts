import { type Header, noHeaders } from '../../model/index.js'
import { RecordCursor } from './record-cursor.js'

/** An empty Buffer of its own the client would write as none: an empty key must not become null on its way. */
const emptyKey = Buffer.alloc(1).subarray(0, 0)

/** What is known of a record without a look at it, one number each. */
export const fields = {
  offset: 0,
  /** Ms; -1: none. Where the topic says so it is the time of the append. */
  timestamp: 1,
  /** Where the size of the key stands, and the key behind it. */
  keyAt: 2,
  /** Where the value begins, or would. */
  valueAt: 3,
  /** How many bytes the value has; negative: there is none. */
  valueSize: 4,
}
/** How many of them a record has. */
export const width = Object.keys(fields).length

/** Records of one partition in their order, whose bytes lie in one buffer. Nothing is made for one until it is asked for. */
export class FetchedRecords {
  constructor(
    readonly bytes: Buffer,
    /** The fields of one record after those of another; there may be room for more. */
    private readonly rows: Float64Array,
    readonly count: number,
  ) {}

  offset(index: number): number {
    return this.rows[index * width + fields.offset]!
  }

  /** Ms; -1: none. */
  timestamp(index: number): number {
    return this.rows[index * width + fields.timestamp]!
  }

  /** A copy: keys are kept in state, and a view would keep all records alive that came with it. */
  key(index: number): Buffer | null {
    const cursor = new RecordCursor(this.bytes, this.rows[index * width + fields.keyAt]!)
    const size = cursor.varint()
    if (size <= 0) return size === 0 ? emptyKey : null
    const key = Buffer.allocUnsafe(size)
    this.bytes.copy(key, 0, cursor.at, cursor.at + size)
    return key
  }

  /** A view into `bytes`. */
  value(index: number): Buffer | null {
    const row = index * width
    const size = this.rows[row + fields.valueSize]!
    if (size < 0) return null
    const start = this.rows[row + fields.valueAt]!
    return this.bytes.subarray(start, start + size)
  }

  /** In their order, as the client gives them; their values are views into `bytes`. */
  headers(index: number): readonly Header[] {
    const cursor = new RecordCursor(this.bytes, this.rows[index * width + fields.valueAt]! + this.size(index))
    const count = cursor.varint()
    if (count === 0) return noHeaders
    const headers: Header[] = []
    while (headers.length < count) headers.push(cursor.header())
    return headers
  }

  /** How many bytes the value has. */
  size(index: number): number {
    return Math.max(this.rows[index * width + fields.valueSize]!, 0)
  }
}
