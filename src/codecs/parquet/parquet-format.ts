import { defer, EMPTY, from, type Observable } from 'rxjs'
import { type Compress, gzip, snappy, uncompressed, zstd } from '../../compression/index.js'
import { cellReader } from '../archive/columns.js'
import type { ArchiveRow, FileEncoder, FileFormat } from '../archive/file-format.js'
import type { ColumnChunk } from './column-chunk.js'
import { filterOf } from './filter.js'
import { footerOf, groupOf, magic, type WrittenChunk, type WrittenGroup } from './footer.js'
import { headerOf, pageTypes } from './page.js'
import { RowGroup } from './row-group.js'

/** By name, the number that the format has for it, and what makes it. */
const compressions = {
  none: [0, () => uncompressed],
  snappy: [1, snappy],
  gzip: [2, () => gzip],
  zstd: [6, zstd],
} as const satisfies Record<string, readonly [codec: number, compress: (wantedBy: string) => Compress]>

/** The buffers of its columns. */
const emptyBytes = 28_672

export type ParquetCompression = keyof typeof compressions

/**
 * Parquet, in row groups of up to 100,000 rows and 16 MiB of values before they are compressed. Pages are compressed off
 * this thread, so that memory is bounded by a row group that is compressed already.
 * Readers pass over row groups by time, offset and partition, and by what repeats: type, source, subject, media type,
 * schema, topic.
 * Errors: WEIR_CONFIG_INVALID where what compresses is not installed.
 */
export function parquetFormat(compression: ParquetCompression): FileFormat {
  const [codec, make] = compressions[compression]
  const compress = make(`Parquet with ${compression}`)
  return { extension: 'parquet', codec: compression, emptyBytes, open: () => new ParquetEncoder(compress, codec) }
}

class ParquetEncoder implements FileEncoder {
  private readonly meter = { held: 0, added: 0 }
  private readonly cells = cellReader()
  private readonly written: WrittenGroup[] = []
  private finished: RowGroup[] = []
  private group: RowGroup | undefined
  private position = 0

  constructor(
    private readonly compress: Compress,
    private readonly codec: number,
  ) {}

  get buffered(): number {
    return this.meter.held
  }

  get isReady(): boolean {
    return this.finished.length > 0
  }

  add(row: ArchiveRow): void {
    const cells = this.cells(row)
    this.group ??= new RowGroup(this.compress, this.meter)
    this.group.add(cells)
    if (this.group.isFull) this.finishGroup()
  }

  take(): Observable<Uint8Array> {
    return defer(() => {
      const groups = this.finished
      this.finished = []
      return groups.length === 0 ? EMPTY : from(this.bytesOf(groups))
    })
  }

  end(): Observable<Uint8Array> {
    return defer(() => {
      this.finishGroup()
      if (this.finished.length === 0 && this.written.length === 0) return EMPTY
      return from(this.lastBytes())
    })
  }

  private finishGroup(): void {
    if (this.group === undefined) return
    this.group.finish()
    this.finished.push(this.group)
    this.group = undefined
  }

  private async lastBytes(): Promise<Uint8Array> {
    const groups = this.finished
    this.finished = []
    const rest = await this.bytesOf(groups)
    return Buffer.concat([rest, footerOf(this.written)])
  }

  private async bytesOf(groups: readonly RowGroup[]): Promise<Buffer> {
    const parts: Uint8Array[] = []
    const write = (bytes: Uint8Array) => {
      parts.push(bytes)
      this.position += bytes.length
    }
    if (this.position === 0) write(magic)
    for (const group of groups) {
      const columns: WrittenChunk[] = []
      for (const chunk of group.chunks) columns.push(await this.place(chunk, write))
      for (const column of columns) this.placeFilter(column, write)
      this.written.push(groupOf(group.rows, columns, this.codec))
    }
    return Buffer.concat(parts)
  }

  private placeFilter(column: WrittenChunk, write: (bytes: Uint8Array) => void): void {
    const filter = filterOf(column.chunk.distinct)
    if (filter === undefined) return
    column.filter = { start: this.position, size: filter.length }
    write(filter)
  }

  private async place(chunk: ColumnChunk, write: (bytes: Uint8Array) => void): Promise<WrittenChunk> {
    const start = this.position
    let firstData = start
    let rawSize = 0
    for (const page of chunk.pages) {
      const body = await page.body
      const header = headerOf(page, body.length)
      write(header)
      write(body)
      rawSize += header.length + page.rawSize
      this.meter.held -= body.length
      if (page.header.type === pageTypes.dictionary) firstData = this.position
    }
    return { chunk, start, size: this.position - start, rawSize, firstData }
  }
}
