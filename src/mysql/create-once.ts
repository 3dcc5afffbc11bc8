import type { MysqlClient } from './client.js'
import { isMissingTable } from './faults.js'
import { quotedTable } from './identifiers.js'

/** Creates a table, unless it is there: that it is may be all that this user can see, or another session comes first. */
export async function createOnce(client: MysqlClient, sql: string, table: string): Promise<void> {
  if (await isThere(client, table)) return
  try {
    await client.query(sql)
  } catch (error) {
    if (!(await isThere(client, table))) throw error
  }
}

async function isThere(client: MysqlClient, table: string): Promise<boolean> {
  try {
    await client.query(`SELECT 1 FROM ${quotedTable(table)} LIMIT 0`)
    return true
  } catch (error) {
    if (isMissingTable(error)) return false
    throw error
  }
}
