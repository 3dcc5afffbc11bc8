import { type Header, noHeaders } from '../../model/index.js'
import { RecordCursor } from './record-cursor.js'

/** An empty Buffer of its own the client would write as none: an empty key must not become null on its way. */
const emptyKey = Buffer.alloc(1).subarray(0, 0)

/** What is known of records without a look at them, by their index. */
export class RecordColumns {
  readonly offsets: Float64Array
  /** Ms; -1: none. Where the topic says so it is the time of the append. */
  readonly timestamps: Float64Array
  /** Where the size of the key stands, and the key behind it. */
  readonly keysAt: Int32Array
  /** Where the value begins, or would. */
  readonly valuesAt: Int32Array
  /** How many bytes the value has; negative: there is none. */
  readonly valueSizes: Int32Array

  constructor(readonly length: number) {
    this.offsets = new Float64Array(length)
    this.timestamps = new Float64Array(length)
    this.keysAt = new Int32Array(length)
    this.valuesAt = new Int32Array(length)
    this.valueSizes = new Int32Array(length)
  }

  /** The same with room for more or less. */
  resized(length: number): RecordColumns {
    const other = new RecordColumns(length)
    for (const name of ['offsets', 'timestamps', 'keysAt', 'valuesAt', 'valueSizes'] as const)
      other[name].set(this[name].subarray(0, length))
    return other
  }
}

/** Records of one partition in their order, whose bytes lie in one buffer. Nothing is made for one until it is asked for. */
export class FetchedRecords {
  constructor(
    readonly bytes: Buffer,
    private readonly columns: RecordColumns,
  ) {}

  get count(): number {
    return this.columns.length
  }

  get offsets(): Float64Array {
    return this.columns.offsets
  }

  /** Ms; -1: none. */
  get timestamps(): Float64Array {
    return this.columns.timestamps
  }

  /** A copy: keys are kept in state, and a view would keep all records alive that came with it. */
  key(index: number): Buffer | null {
    const cursor = new RecordCursor(this.bytes, this.columns.keysAt[index]!)
    const size = cursor.varint()
    if (size <= 0) return size === 0 ? emptyKey : null
    const key = Buffer.allocUnsafe(size)
    this.bytes.copy(key, 0, cursor.at, cursor.at + size)
    return key
  }

  /** A view into `bytes`. */
  value(index: number): Buffer | null {
    const size = this.columns.valueSizes[index]!
    if (size < 0) return null
    const start = this.columns.valuesAt[index]!
    return this.bytes.subarray(start, start + size)
  }

  /** In their order, as the client gives them; their values are views into `bytes`. */
  headers(index: number): readonly Header[] {
    const cursor = new RecordCursor(
      this.bytes,
      this.columns.valuesAt[index]! + Math.max(this.columns.valueSizes[index]!, 0),
    )
    const count = cursor.varint()
    return count === 0 ? noHeaders : Array.from({ length: count }, () => cursor.header())
  }

  /** How many bytes the value has. */
  size(index: number): number {
    return Math.max(this.columns.valueSizes[index]!, 0)
  }
}
