import { lastValueFrom } from 'rxjs'
import { postgresCheckpoints } from '../../src/postgres/checkpoint-tables.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { postgresSink } from '../../src/sinks/postgres.js'
import { SinkHarness } from './sink-harness.js'
import { type Item, oddRows, type TriedSink } from './sinks.contract.js'

export function postgresHarness(
  connection: PostgresConnection,
  options: Readonly<Record<string, unknown>>,
  joins: boolean,
): SinkHarness {
  const checkpoints = postgresCheckpoints(connection)
  return new SinkHarness({ definition: postgresSink, connection, checkpoints, options, joins })
}

export interface PostgresSinkSetup {
  readonly connection: PostgresConnection
  /** Each kind of sink under test has its own. */
  readonly table?: string
  readonly options?: Readonly<Record<string, unknown>>
  readonly joins?: boolean
  close(): Promise<void>
}

/** A table of items for the sink contract. */
export async function postgresSinkUnderTest(setup: PostgresSinkSetup): Promise<TriedSink> {
  const { connection, table = 'items', options = {}, joins = false, close } = setup
  const row = ({ id, text, ...more }: Item) => ({ id, text, ...more })
  const create = `CREATE TABLE ${table} (id integer PRIMARY KEY, text text CHECK (text <> 'refused'))`
  const harness = postgresHarness(connection, { table, row, create, ...options }, joins)
  await harness.open()
  const query = (text: string) => lastValueFrom(connection.query<{ id: number; text: string }>(text))
  return {
    reset: async () => {
      harness.rejecting.forget()
      await query(`TRUNCATE ${table}`)
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => query(`SELECT id, text FROM ${table}`),
    rejecting: harness.rejecting,
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    odd: {
      ...oddRows,
      'the character 0': { id: 80, text: 'a\0b' },
    },
    close,
  }
}
