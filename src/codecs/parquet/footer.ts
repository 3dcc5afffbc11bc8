import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { serializeTCompactProtocol } from 'hyparquet-writer/src/thrift.js'
import type { ColumnChunk } from './column-chunk.js'
import { encodings, type Page, pageTypes } from './page.js'
import { type Leaf, leaves, schema } from './schema.js'

/** As long as it stays the same, so do the bytes of files. */
const createdBy = 'weir version 1'

/** Spark 3 refuses times before 1900 of files that don't say that they are of no older calendar. */
const newCalendar = { field_1: 'org.apache.spark.version', field_2: '3.0.0' }

export const magic = Buffer.from('PAR1')

/** Where in a file something lies. */
export interface Place {
  readonly start: number
  readonly size: number
}

export interface WrittenChunk extends Place {
  readonly chunk: ColumnChunk
  readonly rawSize: number
  /** Where the first page of data lies. */
  readonly firstData: number
  filter?: Place
}

/** What a footer says of a row group, as Thrift has it. It holds nothing of the values. */
export interface WrittenGroup {
  readonly field_3: bigint
}

/** The end of a file: its schema, and where everything lies. */
export function footerOf(groups: readonly WrittenGroup[]): Uint8Array {
  const writer = new ByteWriter()
  serializeTCompactProtocol(writer, {
    field_1: 1,
    field_2: schema,
    field_3: groups.reduce((rows, { field_3 }) => rows + field_3, 0n),
    field_4: groups,
    field_5: [newCalendar],
    field_6: createdBy,
    // Without it, what is smallest and largest has no meaning.
    field_7: leaves.map(() => ({ field_1: {} })),
  })
  writer.appendUint32(writer.offset)
  writer.appendBytes(magic)
  return writer.getBytes()
}

export function groupOf(rows: number, columns: readonly WrittenChunk[], codec: number): WrittenGroup {
  const sum = (amount: (column: WrittenChunk) => number) =>
    BigInt(columns.reduce((total, column) => total + amount(column), 0))
  return {
    field_1: columns.map((column) => ({ field_2: 0n, field_3: metadataOf(column, codec) })),
    field_2: sum(({ rawSize }) => rawSize),
    field_3: BigInt(rows),
    field_5: BigInt(columns[0]?.start ?? 0),
    field_6: sum(({ size }) => size),
  } as WrittenGroup
}

function metadataOf({ chunk, start, size, rawSize, firstData, filter }: WrittenChunk, codec: number) {
  const { leaf, pages, count, nulls, statistics } = chunk
  return {
    field_1: leaf.type,
    field_2: encodingsOf(leaf, pages),
    field_3: leaf.path,
    field_4: codec,
    field_5: BigInt(count),
    field_6: BigInt(rawSize),
    field_7: BigInt(size),
    field_9: BigInt(firstData),
    field_11: firstData === start ? undefined : BigInt(start),
    field_12: { field_3: BigInt(nulls), field_5: statistics?.max, field_6: statistics?.min },
    field_13: pageCountsOf(pages),
    field_14: filter === undefined ? undefined : BigInt(filter.start),
    field_15: filter?.size,
  }
}

function encodingsOf({ maxDefinition, maxRepetition }: Leaf, pages: readonly Page[]): number[] {
  const used = new Set<number>(pages.map(({ header }) => header.encoding))
  if (maxDefinition > 0 || maxRepetition > 0) used.add(encodings.levels)
  return [...used].sort((a, b) => a - b)
}

/** How many pages there are of each kind: readers that find none but numbers of a dictionary look into it first. */
function pageCountsOf(pages: readonly Page[]) {
  return Object.values(pageTypes).flatMap((type) =>
    [encodings.plain, encodings.dictionary].flatMap((encoding) => {
      const { length } = pages.filter(({ header }) => header.type === type && header.encoding === encoding)
      return length === 0 ? [] : [{ field_1: type, field_2: encoding, field_3: length }]
    }),
  )
}
