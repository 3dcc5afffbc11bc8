import type { BatchHead } from './batch-head.js'
import { FetchedRecords, fields, width } from './fetched-records.js'
import { MalformedError } from './protocol/malformed.js'
import { RecordCursor } from './record-cursor.js'

/** No record is shorter: a size, attributes, two deltas, two sizes and the number of headers. */
const leastRecord = 7
const noRows = new Float64Array(0)

/** Gathers the records of batches that lie in one buffer. */
export class RecordGatherer {
  count = 0
  /** As `FetchedRecords` has them. */
  private rows = noRows

  constructor(private readonly bytes: Buffer) {}

  /**
   * Reads the records of a batch, which lie between two places; those before the offset `from` are left out.
   * Errors: `MalformedError` where they are not what they should be; then none of them is added.
   */
  add({ base, last, count, baseTimestamp, appendTime }: BatchHead, start: number, end: number, from: number): void {
    const corrupt = (what: string) => new MalformedError('corrupt', `the batch at offset ${base} has ${what}`)
    if (count * leastRecord > end - start) throw corrupt(`${count} records in ${end - start} bytes`)
    this.reserve(count, (end - start) / this.bytes.length)
    const { rows } = this
    const cursor = new RecordCursor(this.bytes, start)
    let row = this.count * width
    let previous = base - 1
    for (let rest = count; rest > 0; rest--) {
      const size = cursor.varint()
      const recordEnd = cursor.at + size
      if (size < leastRecord - 1 || recordEnd > end) throw corrupt(`a record of ${size} bytes`)
      // Attributes of records have no meaning yet.
      cursor.at++
      const timestamp = cursor.varlong()
      const offset = base + cursor.varint()
      if (offset <= previous || offset > last) throw corrupt('offsets out of their order')
      previous = offset
      const keyAt = cursor.at
      cursor.skip()
      const valueSize = cursor.varint()
      const valueAt = cursor.at
      if (valueSize > 0) cursor.at += valueSize
      if (cursor.at >= recordEnd) throw corrupt('a key or value beyond its record')
      if (!passHeaders(cursor, recordEnd)) throw corrupt('a record whose headers are none')
      if (cursor.at !== recordEnd) throw corrupt('a record of another size than it says')
      if (offset < from) continue
      rows[row + fields.offset] = offset
      rows[row + fields.timestamp] = appendTime ?? baseTimestamp + timestamp
      rows[row + fields.keyAt] = keyAt
      rows[row + fields.valueAt] = valueAt
      rows[row + fields.valueSize] = valueSize
      row += width
    }
    if (cursor.at !== end) throw corrupt('bytes behind the last record')
    this.count = row / width
  }

  /** Hands out what was gathered. */
  take(): FetchedRecords {
    const taken = new FetchedRecords(this.bytes, this.rows, this.count)
    this.rows = noRows
    this.count = 0
    return taken
  }

  /** Makes room for more, and at first for as many as all bytes have if the others are alike: this is `part` of them. */
  private reserve(more: number, part: number): void {
    const needed = (this.count + more) * width
    const { length } = this.rows
    if (needed <= length) return
    const rows = new Float64Array(length === 0 ? Math.ceil(more / part) * width : Math.max(needed, length * 2))
    rows.set(this.rows)
    this.rows = rows
  }
}

/** They are read when somebody asks for them, and must not be found broken then. */
function passHeaders(cursor: RecordCursor, end: number): boolean {
  const count = cursor.varint()
  if (count < 0 || count > end - cursor.at) return false
  for (let rest = count; rest > 0; rest--) {
    if (cursor.skip() < 0) return false
    cursor.skip()
    if (cursor.at > end) return false
  }
  return true
}
