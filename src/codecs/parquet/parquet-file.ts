import type { FileMetaData, RowGroup, SchemaElement } from 'hyparquet'
import { parquetMetadata } from 'hyparquet/src/metadata.js'
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getSchemaPath } from 'hyparquet/src/schema.js'
import { type Decompress, gunzip, unsnappy, unzstd } from '../../compression/index.js'
import { columns } from '../archive/columns.js'
import type { ArchiveFile, Bounds, FileBytes, ReadRow, RowsSummary } from '../archive/file-reader.js'
import { type ReadCell, rowOfCells } from '../archive/read-row.js'
import { reading } from '../archive/unreadable.js'
import { ColumnReader, type Value } from './column-reader.js'
import { magic } from './footer.js'
import { type Leaf, leaves, leavesOf, physical } from './schema.js'

/** How much of the end is read at once: mostly it holds all of the footer. */
const tailBytes = 65_536
/** How many rows are handed out at a time. */
const rowsAtOnce = 1_000

const decompressions: Readonly<Record<string, ((wantedBy: string) => Decompress) | undefined>> = {
  UNCOMPRESSED: () => (bytes) => Promise.resolve(bytes),
  SNAPPY: unsnappy,
  GZIP: () => gunzip,
  ZSTD: unzstd,
}

const typeNames = { [physical.int32]: 'INT32', [physical.int64]: 'INT64', [physical.bytes]: 'BYTE_ARRAY' } as const

/** Opens a file of an archive. `name` is what it is called in errors, which are those of `ArchiveFile`. */
export function openParquet(name: string, bytes: FileBytes): Promise<ArchiveFile> {
  const doing = `reading ${name}`
  return reading(doing, async () => new ParquetFile(doing, bytes, await metadataOf(bytes)))
}

async function metadataOf(bytes: FileBytes): Promise<FileMetaData> {
  const { size } = bytes
  if (size < 12) throw new Error(`it has ${size} bytes`)
  let tail = await bytes.read(Math.max(0, size - tailBytes), size)
  if (!tail.subarray(-4).equals(magic)) throw new Error('it does not end as Parquet does')
  const needed = tail.readUInt32LE(tail.length - 8) + 8
  if (needed > size) throw new Error(`its footer is told to have ${needed} bytes, and it has ${size}`)
  if (needed > tail.length) tail = await bytes.read(size - needed, size)
  const metadata = parquetMetadata(tail, {
    parsers: { timestampFromMicroseconds: (micros) => micros },
    geoparquet: false,
  })
  checkSchema(metadata.schema)
  return metadata
}

/** Columns that came to the end of the schema later may be missing. */
function checkSchema(schema: SchemaElement[]): void {
  for (const leaf of leaves) {
    const [name] = leaf.path
    const isMissing = !schema.some((element) => element.name === name)
    if (isMissing && columns.find((column) => column.name === name)?.isOptional) continue
    const path = getSchemaPath(schema, [...leaf.path])
    const levels = [getMaxDefinitionLevel(path), getMaxRepetitionLevel(path)]
    const isSame = levels[0] === leaf.maxDefinition && levels[1] === leaf.maxRepetition
    if (path.at(-1)?.element.type !== typeNames[leaf.type] || !isSame)
      throw new Error(`its column ${leaf.path.join('.')} is none of an archive`)
  }
}

class ParquetFile implements ArchiveFile {
  constructor(
    private readonly doing: string,
    private readonly bytes: FileBytes,
    private readonly metadata: FileMetaData,
  ) {}

  summary(): Promise<RowsSummary> {
    return reading(this.doing, async () => {
      const groups = this.metadata.row_groups.map(summaryOf)
      return Promise.resolve({
        rows: Number(this.metadata.num_rows),
        topics: all(groups.map(({ topics }) => topics)),
        partitions: all(groups.map(({ partitions }) => partitions)) ?? nothing(),
        offsets: all(groups.map(({ offsets }) => offsets)) ?? nothing(),
        types: all(groups.map(({ types }) => types)),
        times: widest(groups.map(({ times }) => times)),
      })
    })
  }

  async *rows(isWanted: (rows: RowsSummary) => boolean = () => true): AsyncGenerator<readonly ReadRow[]> {
    for (const group of this.metadata.row_groups) {
      const { rows, ...rest } = await reading(this.doing, () => Promise.resolve(summaryOf(group)))
      if (!isWanted({ rows, ...rest })) continue
      const readers = await reading(this.doing, () => this.readersOf(group))
      for (let done = 0; done < rows; done += rowsAtOnce) {
        const count = Math.min(rowsAtOnce, rows - done)
        yield await reading(this.doing, async () => {
          for (const reader of readers.flat()) await reader?.fill(count)
          return Array.from({ length: count }, () => rowOfCells(readers.map((of, index) => cellOf(index, of))))
        })
      }
    }
  }

  /** Those of each column, in their order; none for one that the file does not have. */
  private async readersOf(group: RowGroup): Promise<(readonly ColumnReader[])[]> {
    const [start, end] = placeOf(group)
    const bytes = await this.bytes.read(start, end)
    return columns.map((column) => leavesOf(column).flatMap((leaf) => this.readerOf(leaf, group, bytes, start) ?? []))
  }

  private readerOf(leaf: Leaf, group: RowGroup, bytes: Buffer, start: number): ColumnReader | undefined {
    const meta = chunkOf(group, leaf.path)
    if (meta === undefined) return undefined
    const decompression = decompressions[meta.codec]
    if (decompression === undefined) throw new Error(`it is compressed by ${meta.codec}`)
    const from = firstPage(meta) - start
    const pages = bytes.subarray(from, from + Number(meta.total_compressed_size))
    return new ColumnReader(leaf, pages, meta, this.metadata.schema, decompression(this.doing))
  }
}

type Chunk = NonNullable<RowGroup['columns'][number]['meta_data']>

function chunkOf({ columns: chunks }: RowGroup, path: readonly string[]): Chunk | undefined {
  const name = path.join('.')
  return chunks.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === name)?.meta_data
}

function firstPage({ dictionary_page_offset, data_page_offset }: Chunk): number {
  return Number(dictionary_page_offset ?? data_page_offset)
}

/** From its first page to behind its last one. */
function placeOf({ columns: chunks }: RowGroup): readonly [number, number] {
  const all = chunks.flatMap(({ meta_data }) => meta_data ?? [])
  const ends = all.map((chunk) => firstPage(chunk) + Number(chunk.total_compressed_size))
  return [Math.min(...all.map(firstPage)), Math.max(...ends)]
}

function summaryOf(group: RowGroup): RowsSummary {
  const bounds = <T>(name: string): Bounds<T> | undefined => {
    const statistics = chunkOf(group, [name])?.statistics
    const [least, largest] = [statistics?.min_value ?? statistics?.min, statistics?.max_value ?? statistics?.max]
    return least === undefined || largest === undefined ? undefined : [least as T, largest as T]
  }
  const offsets = bounds<bigint>('kafka_offset') ?? nothing()
  return {
    rows: Number(group.num_rows),
    topics: bounds('kafka_topic'),
    partitions: bounds<number>('kafka_partition') ?? nothing(),
    offsets: [Number(offsets[0]), Number(offsets[1])],
    types: bounds('type'),
    times: widest([bounds<bigint>('time'), bounds<bigint>('kafka_timestamp')]),
  }
}

function nothing(): never {
  throw new Error('its footer does not tell its offsets')
}

/** Undefined where one is. */
function all<T extends number | string>(bounds: readonly (Bounds<T> | undefined)[]): Bounds<T> | undefined {
  return bounds.includes(undefined) ? undefined : widest(bounds)
}

function widest<T extends number | bigint | string>(bounds: readonly (Bounds<T> | undefined)[]): Bounds<T> | undefined {
  return bounds
    .flatMap((each) => (each === undefined ? [] : [each]))
    .reduce<Bounds<T> | undefined>(
      (before, [least, largest]) =>
        before === undefined
          ? [least, largest]
          : [least < before[0] ? least : before[0], largest > before[1] ? largest : before[1]],
      undefined,
    )
}

function cellOf(index: number, [reader, second]: readonly ColumnReader[]): ReadCell {
  const kind = columns[index]?.kind
  const value = reader?.next()
  switch (kind) {
    case 'text':
      return value === undefined ? undefined : textOf(value as Value)
    case 'bytes':
      return value === undefined ? undefined : bytesOf(value as Uint8Array)
    case 'int':
    case 'long':
      return Number(value)
    case 'instant':
      return value as bigint | undefined
    case 'pairs':
    case 'headers': {
      const values = (second?.next() ?? []) as readonly Value[]
      return ((value ?? []) as readonly Value[]).flatMap((name, at) => {
        const bytes = values[at]
        if (kind === 'pairs') return [textOf(name), textOf(bytes)]
        return [textOf(name), bytes === null || bytes === undefined ? null : bytesOf(bytes as Uint8Array)]
      })
    }
    case undefined:
      throw new RangeError(`there is no column ${index}`)
  }
}

function textOf(value: Value): string {
  return bytesOf(value as Uint8Array).toString()
}

function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
