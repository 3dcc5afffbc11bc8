import type { ClientBase } from 'pg'
import { quoted, quotedTable } from './identifiers.js'
import { readColumns } from './table-columns.js'

/** Adds the columns that a table lacks. Where it lacks none, nothing is asked for that only its owner may do. */
export async function addColumns(
  client: ClientBase,
  table: string,
  columns: Readonly<Record<string, string>>,
): Promise<void> {
  const wanted = Object.entries(columns)
  if (wanted.length === 0) return
  const there = await readColumns(client, table)
  const missing = wanted.filter(([name]) => !there.has(name))
  if (missing.length === 0) return
  // Two sessions wait for each other here: the second one finds them there.
  const clauses = missing.map(([name, type]) => `ADD COLUMN IF NOT EXISTS ${quoted(name)} ${type}`)
  await client.query(`ALTER TABLE ${quotedTable(table)} ${clauses.join(', ')}`)
}
