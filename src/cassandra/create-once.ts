import type { CassandraClient } from './client.js'

/** Creates a table, unless it is there: that it is may be all that this user can see, or another session comes first. */
export async function createOnce(client: CassandraClient, statement: string, table: string): Promise<void> {
  if ((await client.table(table)) !== undefined) return
  try {
    await client.define(statement)
  } catch (error) {
    if ((await client.table(table)) === undefined) throw error
  }
}
