import pg, { type PoolClient } from 'pg'
import { WeirError } from '../model/index.js'
import type { ReadLimits, SqlRow } from '../sql/index.js'
import { postgresFaults } from './faults.js'

export interface Reading {
  readonly query: string
  readonly values: readonly unknown[]
  readonly limits: ReadLimits
  /** Whether what is too much is still waited for, and thrown away: then the client can be used again. */
  readonly toTheEnd: boolean
}

const readOnlyViolation = '25006'

/**
 * The rows of one statement, in a transaction that only reads. No more of them than the limits say are ever held.
 * Errors: WEIR_QUERY_TOO_LARGE when there are more, WEIR_CONFIG_INVALID when it writes, and the driver's own.
 */
export async function readRows(client: PoolClient, reading: Reading): Promise<readonly SqlRow[]> {
  await client.query('BEGIN TRANSACTION READ ONLY')
  try {
    const rows = await rowsOf(client, reading)
    await client.query('COMMIT')
    return rows
  } catch (error) {
    // Where it is no connection to a standby, nothing but a statement that writes meets that.
    const writes = error instanceof pg.DatabaseError && error.code === readOnlyViolation
    const isSending = isTooLarge(error) && !reading.toTheEnd
    if (writes || (!isSending && postgresFaults.of(error) !== 'connection')) await client.query('ROLLBACK')
    if (!writes) throw error
    throw new WeirError('WEIR_CONFIG_INVALID', `asking the database: ${error.message}`, {
      hint: 'A query may only read.',
      cause: error,
    })
  }
}

function rowsOf(client: PoolClient, { query, values, limits, toTheEnd }: Reading): Promise<readonly SqlRow[]> {
  return new Promise((resolve, reject) => {
    let [rows, bytes] = [0, 0]
    let fault: WeirError | undefined
    const counting = (oid: number, format?: string) => {
      const parse = pg.types.getTypeParser(oid, format as never) as (text: string) => unknown
      return (text: string) => {
        bytes += Buffer.byteLength(text)
        return fault === undefined ? parse(text) : undefined
      }
    }
    // As one statement, also where it has no values: several could leave the transaction.
    const config = { text: query, values: [...values], types: { getTypeParser: counting }, queryMode: 'extended' }
    const asked = new pg.Query<SqlRow, unknown[]>(config, (error: Error | null | undefined, result) => {
      if (fault !== undefined) reject(fault)
      else if (error) reject(error)
      else resolve(result.rows)
    })
    // The driver gathers rows as long as somebody awaits the result, whoever else listens.
    asked.on('row', (_row, result) => {
      if (++rows <= limits.maxRows && bytes <= limits.maxBytes && fault === undefined) return
      fault ??= tooLarge(limits)
      if (result !== undefined) result.rows.length = 0
      if (!toTheEnd) reject(fault)
    })
    client.query(asked)
  })
}

function tooLarge({ maxRows, maxBytes }: ReadLimits): WeirError {
  return new WeirError(
    'WEIR_QUERY_TOO_LARGE',
    `asking the database: there are more than ${maxRows} rows, or ${maxBytes} bytes`,
    {
      hint: 'Have the database count or group them, or raise maxRows and maxBytes of the stage.',
    },
  )
}

function isTooLarge(error: unknown): boolean {
  return error instanceof WeirError && error.code === 'WEIR_QUERY_TOO_LARGE'
}
