import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientBase } from 'pg'
import { lastValueFrom } from 'rxjs'
import { postgres } from '../../src/connectors/postgres.js'
import { type ConnectionContext, type EpochTransaction, silentLogger, systemClock } from '../../src/model/index.js'
import { postgresCheckpoints } from '../../src/postgres/checkpoint-tables.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { SqlTransaction } from '../../src/sql/index.js'
import type { CheckpointsUnderTest } from './checkpoints.contract.js'

/** Opens a connection as the engine would. */
export function openWith(given: unknown, context: Partial<ConnectionContext> = {}): PostgresConnection {
  const { definition } = postgres
  return definition.open(definition.options.parse(given), {
    app: 'weir-test',
    name: 'db',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '',
    ...context,
  })
}

export function openPostgres(url: string, context: Partial<ConnectionContext> = {}): PostgresConnection {
  return openWith({ url }, context)
}

/** The embedded server in a directory of its own. It has one connection, which all its stores share. */
export async function embeddedCheckpoints(): Promise<Required<CheckpointsUnderTest>> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'weir-embedded-'))
  const connection = openPostgres('embedded', { dataDirectory })
  return checkpointsUnderTest(() => connection, {
    sever: (transaction) => cut(transaction ?? connection),
    close: async () => {
      await connection.close()
      rmSync(dataDirectory, { recursive: true })
    },
  })
}

/** What the contract needs of a database, over one connection for each store. */
export async function checkpointsUnderTest(
  connect: () => PostgresConnection,
  { sever, close }: Pick<Required<CheckpointsUnderTest>, 'sever' | 'close'>,
): Promise<Required<CheckpointsUnderTest>> {
  const observer = connect()
  await lastValueFrom(observer.query('CREATE TABLE IF NOT EXISTS joined (name text PRIMARY KEY)'))
  const opened = new Set([observer])
  return {
    connect: () => {
      const connection = connect()
      opened.add(connection)
      return Promise.resolve(postgresCheckpoints(connection))
    },
    join: (transaction, row) =>
      joined(transaction).run((client) => client.query('INSERT INTO joined VALUES ($1)', [row])),
    joined: async () =>
      (await lastValueFrom(observer.query<{ name: string }>('SELECT name FROM joined'))).map(({ name }) => name),
    sever,
    age: () => lastValueFrom(observer.query('ALTER TABLE weir_positions DROP COLUMN further'), { defaultValue: [] }),
    close: async () => {
      for (const connection of opened) await connection.close()
      await close()
    },
  }
}

function joined(transaction: EpochTransaction): SqlTransaction<ClientBase> {
  if (transaction instanceof SqlTransaction) return transaction as SqlTransaction<ClientBase>
  throw new TypeError('not a transaction of Postgres')
}

/** Cuts the socket under the driver. */
async function cut(user: PostgresConnection | EpochTransaction): Promise<void> {
  const from = 'commit' in user ? joined(user) : user
  await lastValueFrom(
    from.run((client) => {
      const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
      setImmediate(() => connection.stream.destroy())
      return Promise.resolve()
    }),
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
}
