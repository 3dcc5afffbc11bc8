import type { MysqlClient } from './client.js'
import { quotedTable } from './identifiers.js'

export interface Column {
  readonly name: string
  /** How a value is written when it says too little itself. */
  readonly kind: 'json' | 'date' | 'time' | 'year' | 'other'
}

interface ColumnRow {
  readonly Field: string
  readonly Type: string
}

interface IndexRow {
  readonly Key_name: string
  readonly Non_unique: number
  readonly Column_name: string | null
}

const kinds: readonly (readonly [RegExp, Column['kind']])[] = [
  [/^json/i, 'json'],
  [/^date$/i, 'date'],
  [/^time(\(|$)/i, 'time'],
  [/^year/i, 'year'],
]

/** The columns of a table, by name. Errors: the server's when there is no such table. */
export async function readColumns(client: MysqlClient, table: string): Promise<ReadonlyMap<string, Column>> {
  const rows = await client.query<ColumnRow>(`SHOW COLUMNS FROM ${quotedTable(table)}`)
  const documents = await jsonColumns(client, table)
  return new Map(
    rows.map(({ Field: name, Type: type }) => {
      const kind = documents.has(name) ? 'json' : (kinds.find(([pattern]) => pattern.test(type))?.[1] ?? 'other')
      return [name, { name, kind }]
    }),
  )
}

/** MariaDB's JSON is text that a check keeps valid. */
async function jsonColumns(client: MysqlClient, table: string): Promise<ReadonlySet<string>> {
  const [row = {}] = await client.query<Record<string, string>>(`SHOW CREATE TABLE ${quotedTable(table)}`)
  const checked = (row['Create Table'] ?? '').matchAll(/json_valid\(`((?:[^`]|``)+)`\)/gi)
  return new Set([...checked].map(([, name = '']) => name.replaceAll('``', '`')))
}

/** Whether these are the columns of a unique index. */
export async function isUnique(client: MysqlClient, table: string, key: readonly string[]): Promise<boolean> {
  const rows = await client.query<IndexRow>(`SHOW INDEX FROM ${quotedTable(table)}`)
  const unique = rows.filter(({ Non_unique }) => Number(Non_unique) === 0)
  const names = new Set(unique.map(({ Key_name }) => Key_name))
  return [...names].some((name) => {
    const columns = unique.filter(({ Key_name }) => Key_name === name).map(({ Column_name }) => Column_name)
    return columns.length === key.length && columns.every((column) => column !== null && key.includes(column))
  })
}
