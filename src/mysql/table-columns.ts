import type { MysqlClient } from './client.js'
import { quotedTable } from './identifiers.js'

export interface Column {
  readonly name: string
  /** How a value is written when it says too little itself. */
  readonly kind: 'json' | 'date' | 'time' | 'year' | 'other'
  /** How many digits of a second it keeps, where it is for times; the server would round what is more. */
  readonly digits?: number | undefined
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

/** What a table is like. */
export interface TableShape {
  /** By name. */
  readonly columns: ReadonlyMap<string, Column>
  /** Keeps its rows; undefined for a view. */
  readonly engine: string | undefined
}

/** Errors: the server's when there is no such table. */
export async function readTable(client: MysqlClient, table: string): Promise<TableShape> {
  const rows = await client.query<ColumnRow>(`SHOW COLUMNS FROM ${quotedTable(table)}`)
  const [row = {}] = await client.query<Record<string, string>>(`SHOW CREATE TABLE ${quotedTable(table)}`)
  const definition = row['Create Table'] ?? ''
  const documents = jsonColumns(definition)
  const columns = rows.map(({ Field: name, Type: type }): [string, Column] => {
    const kind = documents.has(name) ? 'json' : (kinds.find(([pattern]) => pattern.test(type))?.[1] ?? 'other')
    return [name, { name, kind, digits: digitsOf(type) }]
  })
  return { columns: new Map(columns), engine: /\n\).* ENGINE=(\w+)/.exec(definition)?.[1] }
}

/** Undefined for what is no time. */
function digitsOf(type: string): number | undefined {
  const time = /^(?:datetime|timestamp|time)(?:\((\d)\))?/i.exec(type)
  return time === null ? undefined : Number(time[1] ?? 0)
}

/** MariaDB's JSON is text that a check keeps valid. */
function jsonColumns(definition: string): ReadonlySet<string> {
  const checked = definition.matchAll(/json_valid\(`((?:[^`]|``)+)`\)/gi)
  return new Set([...checked].map(([, name = '']) => name.replaceAll('``', '`')))
}

/** Whether a table's engine knows transactions, without which a statement that fails leaves some of its rows. */
export async function isTransactional(client: MysqlClient, engine: string | undefined): Promise<boolean> {
  if (engine === undefined) return true
  const query = 'SELECT TRANSACTIONS AS answer FROM information_schema.ENGINES WHERE ENGINE = ?'
  const [row] = await client.query<{ answer: string | null }>(query, [engine])
  return row?.answer !== 'NO'
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
