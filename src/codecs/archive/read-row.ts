import { type CellTypes, type Column, columns } from './columns.js'
import type { ReadRow } from './file-reader.js'

/** What is found of a row in the columns: the kinds as they lie in a file. */
export interface ReadCells {
  text: string | undefined
  bytes: Buffer | undefined
  int: number
  long: number
  instant: number | bigint | undefined
  /** Names and values in turn. */
  pairs: readonly string[]
  headers: readonly (string | Buffer | null)[]
}

export type ReadCell = ReadCells[keyof CellTypes]

const at = new Map(columns.map(({ name }, index) => [name, index]))

/** The row that was written as these cells, in the order of the columns. Those that a file does not have are undefined. */
export function rowOfCells(cells: readonly ReadCell[]): ReadRow {
  const cell = <K extends Column['kind']>(name: string, _kind: K) => cells[at.get(name) as number] as ReadCells[K]
  const timestamp = cell('kafka_timestamp', 'instant')
  return {
    id: cell('id', 'text') as string,
    source: cell('source', 'text') as string,
    type: cell('type', 'text') as string,
    subject: cell('subject', 'text'),
    time: cell('time_text', 'text'),
    datacontenttype: cell('datacontenttype', 'text'),
    dataschema: cell('dataschema', 'text'),
    extensions: extensionsOf(cell('extensions', 'pairs'), cell('extension_types', 'text')),
    data: cell('data', 'text'),
    dataBytes: cell('data_bytes', 'bytes'),
    topic: cell('kafka_topic', 'text') as string,
    partition: cell('kafka_partition', 'int'),
    offset: cell('kafka_offset', 'long'),
    // Records have whole milliseconds.
    timestamp: timestamp === undefined ? -1 : Number(BigInt(timestamp) / 1_000n),
    key: cell('kafka_key', 'bytes') ?? null,
    headers: headersOf(cell('kafka_headers', 'headers')),
  }
}

function extensionsOf(pairs: ReadCells['pairs'], types: string | undefined): ReadRow['extensions'] {
  const extensions: [string, string | number | boolean][] = []
  for (let index = 0; index < pairs.length; index += 2)
    extensions.push([pairs[index] as string, pairs[index + 1] as string])
  if (types === undefined) return Object.fromEntries(extensions)
  const typed = new Map(types.split(' ').map((type) => type.split(':') as [string, string]))
  return Object.fromEntries(extensions.map(([name, text]) => [name, valueOf(text as string, typed.get(name))]))
}

function valueOf(text: string, type: string | undefined): string | number | boolean {
  if (type === 'boolean') return text === 'true'
  return type === 'integer' ? Number(text) : text
}

function headersOf(pairs: ReadCells['headers']): ReadRow['headers'] {
  const headers: Readonly<Record<string, Buffer | null>>[] = []
  for (let index = 0; index < pairs.length; index += 2)
    headers.push({ [pairs[index] as string]: (pairs[index + 1] as Buffer | null | undefined) ?? null })
  return headers
}
