import type { ClientBase } from 'pg'

/**
 * Runs a script that creates tables, unless they are all there. (`CREATE … IF NOT EXISTS` by two sessions at once can
 * fail, and asks for rights even where nothing is to be done.)
 */
export async function createOnce(client: ClientBase, sql: string, ...tables: readonly string[]): Promise<void> {
  if (!(await isMissing(client, tables))) return
  await client.query("BEGIN; SELECT pg_advisory_xact_lock(hashtext('weir.create'))")
  try {
    if (await isMissing(client, tables)) await client.query(sql)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    // While it waited for the lock this session may not have noticed that somebody else made them.
    if (await isMissing(client, tables)) throw error
  }
}

async function isMissing(client: ClientBase, tables: readonly string[]): Promise<boolean> {
  const { rows } = await client.query('SELECT FROM unnest($1::text[]) AS t(name) WHERE to_regclass(name) IS NULL', [
    tables,
  ])
  return rows.length > 0
}
