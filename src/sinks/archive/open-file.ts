import type { EncodingTime } from '../../codecs/archive/encoding-time.js'
import type { ArchiveRow, FileEncoder, FileFormat } from '../../codecs/archive/file-format.js'
import type { Spool } from './spool.js'

/** A file that is being filled: what is finished of it goes into its spool. */
export class OpenFile {
  records = 0
  last: number
  readonly extension: string
  readonly codec: string
  private readonly encoder: FileEncoder
  private readonly emptyBytes: number

  constructor(
    format: FileFormat,
    readonly spool: Spool,
    readonly first: number,
    /** UTC, ms: of its first record, for its name. */
    readonly time: number,
    /** On the steady clock, ms. */
    readonly openedAt: number,
    /** Since when its first record has waited, ms of the wall clock. */
    readonly since: number,
    private readonly encoding: EncodingTime,
  ) {
    this.last = first
    this.extension = format.extension
    this.codec = format.codec
    this.emptyBytes = format.emptyBytes
    this.encoder = format.open()
  }

  /** What it takes in memory. */
  get buffered(): number {
    return this.emptyBytes + this.encoder.buffered
  }

  get bytes(): number {
    return this.encoder.buffered + this.spool.bytes
  }

  /** Errors are the row's fault; it is not in the file then. */
  add(row: ArchiveRow): void {
    this.encoding.add(this.encoder, row)
    this.records++
    this.last = row.offset
    if (this.encoder.isReady) this.spool.append(this.encoder.take())
  }

  /** Nothing comes any more. */
  end(): void {
    this.spool.append(this.encoding.end(this.encoder))
  }
}
