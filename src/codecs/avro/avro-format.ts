import { createHash } from 'node:crypto'
import zlib from 'node:zlib'
import { defer, EMPTY, from, type Observable } from 'rxjs'
import { type Compress, deflate, snappy, uncompressed, zstd } from '../../compression/index.js'
import { ByteBuffer } from '../archive/byte-buffer.js'
import { cellReader } from '../archive/columns.js'
import type { ArchiveRow, FileEncoder, FileFormat } from '../archive/file-format.js'
import { schemaText } from './archive-schema.js'
import { writeRow } from './row-writer.js'

/** How many bytes of rows make a block. */
const blockBytes = 262_144
const emptyBytes = 8_192

const compressions = {
  null: () => uncompressed,
  deflate: () => deflate,
  snappy: (wantedBy: string) => checked(snappy(wantedBy)),
  zstandard: zstd,
} as const satisfies Record<string, (wantedBy: string) => Compress>

export type AvroCompression = keyof typeof compressions

/**
 * Avro containers, in blocks of 256 KiB before they are compressed, with the schema in the header. What stands between
 * blocks is made of the place of the first row, and the same each time.
 * Errors: WEIR_CONFIG_INVALID where what compresses is not installed.
 */
export function avroFormat(compression: AvroCompression): FileFormat {
  const compress = compressions[compression](`Avro with ${compression}`)
  return { extension: 'avro', codec: compression, emptyBytes, open: () => new AvroEncoder(compression, compress) }
}

interface Block {
  readonly rows: number
  readonly body: Promise<Uint8Array>
}

class AvroEncoder implements FileEncoder {
  buffered = 0
  private readonly cells = cellReader()
  private readonly bytes = new ByteBuffer()
  private marker: Buffer | undefined
  private rows = 0
  private finished: Block[] = []
  private isHeaded = false

  constructor(
    private readonly codec: AvroCompression,
    private readonly compress: Compress,
  ) {}

  get isReady(): boolean {
    return this.finished.length > 0
  }

  add(row: ArchiveRow): void {
    const cells = this.cells(row)
    this.marker ??= markerOf(row)
    const before = this.bytes.length
    writeRow(this.bytes, cells)
    this.buffered += this.bytes.length - before
    this.rows++
    if (this.bytes.length >= blockBytes) this.finishBlock()
  }

  take(): Observable<Uint8Array> {
    return defer(() => {
      const blocks = this.finished
      this.finished = []
      return blocks.length === 0 || this.marker === undefined ? EMPTY : from(this.bytesOf(blocks, this.marker))
    })
  }

  end(): Observable<Uint8Array> {
    return defer(() => {
      if (this.rows > 0) this.finishBlock()
      return this.take()
    })
  }

  private finishBlock(): void {
    const raw = this.bytes.take()
    const body = this.compress(raw).then((bytes) => {
      this.buffered += bytes.length - raw.length
      return bytes
    })
    // It is awaited later, and a rejection that nobody handles ends the process.
    body.catch(() => undefined)
    this.finished.push({ rows: this.rows, body })
    this.rows = 0
  }

  private async bytesOf(blocks: readonly Block[], marker: Buffer): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    if (!this.isHeaded) parts.push(headerOf(this.codec, marker))
    this.isHeaded = true
    for (const { rows, body } of blocks) {
      const bytes = await body
      const size = new ByteBuffer(16)
      size.zigzag(rows)
      size.zigzag(bytes.length)
      parts.push(size.written, bytes, marker)
      this.buffered -= bytes.length
    }
    return Buffer.concat(parts)
  }
}

/** The begin of a container, with what it says of itself. */
function headerOf(codec: AvroCompression, marker: Buffer): Uint8Array {
  const bytes = new ByteBuffer()
  bytes.raw(Buffer.from('Obj\u0001'))
  bytes.zigzag(2)
  for (const text of ['avro.schema', schemaText, 'avro.codec', codec]) {
    bytes.zigzag(Buffer.byteLength(text))
    bytes.utf8(text)
  }
  bytes.uint8(0)
  bytes.raw(marker)
  return bytes.written
}

function markerOf({ topic, partition, offset }: ArchiveRow): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([topic, partition, offset]))
    .digest()
    .subarray(0, 16)
}

/** With a checksum of what was compressed, as Avro wants it behind snappy. */
function checked(compress: Compress): Compress {
  return async (bytes) => {
    const checksum = Buffer.alloc(4)
    checksum.writeUInt32BE(zlib.crc32(bytes))
    return Buffer.concat([await compress(bytes), checksum])
  }
}
