import { z } from 'zod'
import { type Decompress, inflate, unsnappy, unzstd } from '../../compression/index.js'
import type { ArchiveFile, Bounds, FileBytes, ReadRow, RowsSummary } from '../archive/file-reader.js'
import { reading } from '../archive/unreadable.js'
import { AvroCursor, columnsOf, rowReader } from './row-reader.js'

/** How much is read at once. */
const windowBytes = 1 << 20
const markerBytes = 16
/** Two longs at the most, a count and a size. */
const headBytes = 20
/** A schema is not larger. */
const mostHeaderBytes = 1 << 20

const magic = Buffer.from('Obj\u0001')

const decompressions: Readonly<Record<string, ((wantedBy: string) => Decompress) | undefined>> = {
  null: () => (bytes) => Promise.resolve(bytes),
  deflate: () => inflate,
  // A checksum of what it was is behind it.
  snappy: (wantedBy) => {
    const decompress = unsnappy(wantedBy)
    return (bytes) => decompress(bytes.subarray(0, -4))
  },
  zstandard: unzstd,
}

const recordSchema = z.object({ fields: z.array(z.object({ name: z.string() })) })

/** Opens a file of an archive. `name` is what it is called in errors, which are those of `ArchiveFile`. */
export async function openAvro(name: string, bytes: FileBytes): Promise<ArchiveFile> {
  const doing = `reading ${name}`
  return reading(doing, async () => new AvroFile(doing, bytes, await headerOf(doing, new Window(bytes))))
}

/** What a container says of itself. */
interface Header {
  readonly decompress: Decompress
  readonly read: (cursor: AvroCursor) => ReadRow
  readonly marker: Buffer
  /** Where its first block begins. */
  readonly end: number
}

async function headerOf(doing: string, window: Window): Promise<Header> {
  const bytes = await window.peek(Math.min(windowBytes, window.left))
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new Error('it does not begin as Avro does')
  const cursor = new AvroCursor(bytes.subarray(0, mostHeaderBytes))
  cursor.at = magic.length
  const meta = new Map<string, Buffer>()
  for (let count = cursor.int(); count !== 0; count = cursor.int()) {
    if (count < 0) cursor.long()
    for (let index = Math.abs(count); index > 0; index--) meta.set(cursor.sized().toString(), cursor.sized())
  }
  const marker = Buffer.from(bytes.subarray(cursor.at, cursor.at + markerBytes))
  const codec = String(meta.get('avro.codec') ?? 'null')
  const decompression = decompressions[codec]
  if (decompression === undefined) throw new Error(`it is compressed by ${codec}`)
  const { fields } = recordSchema.parse(JSON.parse(String(meta.get('avro.schema'))))
  const columns = columnsOf(fields.map(({ name }) => name))
  if (columns === undefined) throw new Error('its schema is none of an archive')
  return { decompress: decompression(doing), read: rowReader(columns), marker, end: cursor.at + markerBytes }
}

class AvroFile implements ArchiveFile {
  constructor(
    private readonly doing: string,
    private readonly bytes: FileBytes,
    private readonly header: Header,
  ) {}

  /** Reads all of the file, for nothing at its end tells of its rows, and two of its blocks as rows. */
  summary(): Promise<RowsSummary> {
    return reading(this.doing, async () => {
      let rows = 0
      let first: ReadRow | undefined
      let last: Buffer = Buffer.alloc(0)
      for await (const block of this.blocks()) {
        first ??= (await this.rowsOf(block))[0]
        rows += block.rows
        last = block.body
      }
      const end = first === undefined ? undefined : (await this.rowsOf({ rows: -1, body: last })).at(-1)
      if (first === undefined || end === undefined) throw new Error('a block has no rows')
      const bounds = <T extends number | string>(one: T, other: T): Bounds<T> =>
        one < other ? [one, other] : [other, one]
      return {
        rows,
        topics: bounds(first.topic, end.topic),
        partitions: bounds(first.partition, end.partition),
        offsets: bounds(first.offset, end.offset),
      }
    })
  }

  async *rows(): AsyncGenerator<readonly ReadRow[]> {
    const blocks = this.blocks()
    for (;;) {
      const rows = await reading(this.doing, async () => {
        const next = await blocks.next()
        return next.done === true ? undefined : this.rowsOf(next.value)
      })
      if (rows === undefined) return
      yield rows
    }
  }

  /** @param rows How many there are; negative where that was checked. */
  private async rowsOf({ rows, body }: Block): Promise<ReadRow[]> {
    const raw = await this.header.decompress(body)
    const cursor = new AvroCursor(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength))
    const read: ReadRow[] = []
    while (!cursor.isAtEnd) read.push(this.header.read(cursor))
    if (rows >= 0 && read.length !== rows) throw new Error(`a block has ${read.length} rows in place of ${rows}`)
    return read
  }

  private async *blocks(): AsyncGenerator<Block> {
    const { marker, end } = this.header
    const window = new Window(this.bytes, end)
    // Who writes none leaves no file.
    if (window.left <= 0) throw new Error('it has no rows')
    while (window.left > 0) {
      const head = new AvroCursor(await window.peek(Math.min(headBytes, window.left)))
      const [rows, size] = [head.int(), head.int()]
      window.skip(head.at)
      if (size < 0 || size + markerBytes > window.left) throw new Error('it ends in the midst of a block')
      const block = await window.peek(size + markerBytes)
      if (!block.subarray(size).equals(marker)) throw new Error('a block does not end where it should')
      yield { rows, body: block.subarray(0, size) }
      window.skip(size + markerBytes)
    }
  }
}

interface Block {
  readonly rows: number
  readonly body: Buffer
}

/** The part of a file that is being read. */
class Window {
  private held: Buffer = Buffer.alloc(0)

  constructor(
    private readonly bytes: FileBytes,
    private position = 0,
  ) {}

  get left(): number {
    return this.bytes.size - this.position
  }

  /** So many of the bytes that come next. */
  async peek(count: number): Promise<Buffer> {
    if (this.held.length < count) {
      const from = this.position + this.held.length
      const to = Math.min(this.bytes.size, this.position + Math.max(count, windowBytes))
      this.held = Buffer.concat([this.held, await this.bytes.read(from, to)])
    }
    if (this.held.length < count) throw new Error('it ends too early')
    return this.held.subarray(0, count)
  }

  /** Goes on behind bytes that were looked at. */
  skip(count: number): void {
    this.held = this.held.subarray(count)
    this.position += count
  }
}
