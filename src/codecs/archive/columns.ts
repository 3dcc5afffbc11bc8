import { isUtf8 } from 'node:buffer'
import { type Header, UnencodableError } from '../../model/index.js'
import type { ArchiveRow } from './file-format.js'
import { instantOf, microsOf } from './instant.js'

/** What the kinds of columns hold of a row. */
export interface CellTypes {
  text: string | Uint8Array | undefined
  bytes: string | Uint8Array | undefined
  int: number
  long: number
  /** µs since the Unix epoch, UTC. */
  instant: number | bigint | undefined
  /** Names and values in turn. */
  pairs: readonly string[]
  /** The same; a value may be missing. */
  headers: readonly (string | Uint8Array | null)[]
}

interface ColumnOf<K extends keyof CellTypes> {
  /** What Iceberg knows the column by; it is never used for another one. */
  readonly id: number
  readonly name: string
  readonly kind: K
  readonly isOptional: boolean
  /** Whether few values make most of it: they are written once, and readers pass over rows by them. */
  readonly repeats: boolean
  readonly doc: string
  /** Errors: `UnencodableError`. */
  cell(row: ArchiveRow): CellTypes[K]
}

export type Column = { [K in keyof CellTypes]: ColumnOf<K> }[keyof CellTypes]

const isBinary = binaryTest()

/**
 * The ids of what lies inside of columns. Iceberg numbers a new table so: its columns, and then what is inside of them;
 * with others it would not take the files.
 */
export const innerIds = { extensionName: 19, extensionValue: 20, header: 21, headerName: 22, headerValue: 23 } as const

/**
 * The one schema of an archive's files, of both formats: it is never inferred, so that any two files are read as one table.
 * A change of it adds optional columns at the end, with new ids, and nothing else.
 *
 * Extensions are a map of text: `extensions['traceparent']` is the same query in DuckDB, Spark and Trino, while text of
 * JSON has to be parsed for each row. Those that are no text say what they are in a column of their own, which is null for
 * nearly all events. Headers are a list of pairs, since names repeat and their order counts.
 */
export const columns: readonly Column[] = [
  text(1, 'id', 'The id of the event.', (row) => row.id, { isOptional: false }),
  text(2, 'source', 'The source of the event.', (row) => row.source, { isOptional: false, repeats: true }),
  text(3, 'type', 'The type of the event.', (row) => row.type, { isOptional: false, repeats: true }),
  text(4, 'subject', 'The subject of the event.', (row) => row.subject, { repeats: true }),
  {
    id: 5,
    name: 'time',
    kind: 'instant',
    doc: 'The time of the event, cut to µs; null outside of the years 1 to 9999.',
    isOptional: true,
    repeats: false,
    cell: ({ time }) => (time === undefined ? undefined : instantOf(time)),
  },
  text(6, 'time_text', 'The time of the event as it came.', (row) => row.time),
  text(7, 'datacontenttype', 'The media type of the data.', (row) => row.datacontenttype, { repeats: true }),
  text(8, 'dataschema', 'The schema that the data holds to.', (row) => row.dataschema, { repeats: true }),
  {
    id: 9,
    name: 'extensions',
    kind: 'pairs',
    doc: 'Every other attribute of the event.',
    isOptional: false,
    repeats: false,
    cell: ({ extensions }) => (extensions === undefined ? none : pairsOf(extensions)),
  },
  text(10, 'data', 'The data, where it is JSON or text.', ({ data }) => (isBinary(data) ? undefined : data)),
  {
    id: 11,
    name: 'data_bytes',
    kind: 'bytes',
    doc: 'The data, where it is neither.',
    isOptional: true,
    repeats: false,
    cell: ({ data, dataBytes }) => dataBytes ?? (isBinary(data) ? data : undefined),
  },
  text(12, 'kafka_topic', 'The topic it was read from.', (row) => row.topic, { isOptional: false, repeats: true }),
  {
    id: 13,
    name: 'kafka_partition',
    kind: 'int',
    doc: 'The partition of that topic.',
    isOptional: false,
    repeats: false,
    cell: (row) => row.partition,
  },
  {
    id: 14,
    name: 'kafka_offset',
    kind: 'long',
    doc: 'The offset in that partition.',
    isOptional: false,
    repeats: false,
    cell: (row) => row.offset,
  },
  {
    id: 15,
    name: 'kafka_timestamp',
    kind: 'instant',
    doc: 'The timestamp of the record; null outside of the years 1 to 9999.',
    isOptional: true,
    repeats: false,
    cell: ({ timestamp = -1 }) => (timestamp === -1 ? undefined : microsOf(timestamp)),
  },
  {
    id: 16,
    name: 'kafka_key',
    kind: 'bytes',
    doc: 'The key of the record.',
    isOptional: true,
    repeats: false,
    cell: ({ key }) => (typeof key === 'string' ? wellFormed(key, 'kafka_key') : (key ?? undefined)),
  },
  {
    id: 17,
    name: 'kafka_headers',
    kind: 'headers',
    doc: 'The headers of the record, in their order.',
    isOptional: false,
    repeats: false,
    cell: ({ headers }) => (headers === undefined || headers.length === 0 ? none : flat(headers)),
  },
  text(
    18,
    'extension_types',
    'Which of the extensions are no text, and what they are: sampledrate:integer test:boolean.',
    ({ extensions }) => (extensions === undefined ? undefined : typesOf(extensions)),
    { repeats: true },
  ),
]

/** Makes the function that reads all cells of a row, in the order of the columns. Errors: `UnencodableError`. */
export function cellReader(): (row: ArchiveRow) => readonly CellTypes[keyof CellTypes][] {
  const cells = new Array<CellTypes[keyof CellTypes]>(columns.length)
  return (row) => {
    for (let index = 0; index < columns.length; index++) cells[index] = columns[index]?.cell(row)
    return cells
  }
}

const none: readonly never[] = []

function text(
  id: number,
  name: string,
  doc: string,
  valueOf: (row: ArchiveRow) => string | Uint8Array | undefined,
  { isOptional = true, repeats = false } = {},
): Column {
  const cell = (row: ArchiveRow) => {
    const value = valueOf(row)
    return typeof value === 'string' ? wellFormed(value, name) : value
  }
  return { id, name, kind: 'text', doc, isOptional, repeats, cell }
}

/** Two columns ask it of the same data. */
function binaryTest(): (data: ArchiveRow['data']) => data is Uint8Array {
  let last: ArchiveRow['data']
  let wasBinary = false
  return (data): data is Uint8Array => {
    if (!(data instanceof Uint8Array)) return false
    if (data === last) return wasBinary
    last = data
    wasBinary = !isUtf8(data)
    return wasBinary
  }
}

function pairsOf(extensions: Readonly<Record<string, string | number | boolean>>): CellTypes['pairs'] {
  const pairs: string[] = []
  for (const name in extensions) {
    pairs.push(wellFormed(name, 'extensions'), wellFormed(String(extensions[name]), 'extensions'))
  }
  return pairs
}

/** An event in binary mode has text alone. */
function typesOf(extensions: Readonly<Record<string, string | number | boolean>>): string | undefined {
  let types: string | undefined
  for (const name in extensions) {
    const value = extensions[name]
    if (typeof value === 'string') continue
    const type = `${name}:${typeof value === 'boolean' ? 'boolean' : 'integer'}`
    types = types === undefined ? type : `${types} ${type}`
  }
  return types
}

function flat(headers: readonly Header[]): CellTypes['headers'] {
  const pairs: (string | Uint8Array | null)[] = []
  for (const header of headers) {
    for (const name in header) {
      const value = header[name] ?? null
      pairs.push(wellFormed(name, 'kafka_headers'))
      pairs.push(typeof value === 'string' ? wellFormed(value, 'kafka_headers') : value)
    }
  }
  return pairs
}

/** Half of a surrogate pair would be written as another character, and makes DuckDB refuse the column where it is not. */
function wellFormed(value: string, column: string): string {
  if (value.isWellFormed()) return value
  throw new UnencodableError(new TypeError('text with half of a surrogate pair has no UTF-8'), column)
}
