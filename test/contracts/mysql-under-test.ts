import { lastValueFrom } from 'rxjs'
import { mysql } from '../../src/connectors/mysql.js'
import { type ConnectionContext, type EpochTransaction, silentLogger, systemClock } from '../../src/model/index.js'
import { mysqlCheckpoints } from '../../src/mysql/checkpoint-tables.js'
import type { MysqlClient } from '../../src/mysql/client.js'
import type { MysqlConnection } from '../../src/mysql/connection.js'
import { mysqlSink } from '../../src/sinks/mysql.js'
import { SqlTransaction } from '../../src/sql/index.js'
import type { CheckpointsUnderTest } from './checkpoints.contract.js'
import { SinkHarness } from './sink-harness.js'
import { type Item, oddRows, type TriedSink } from './sinks.contract.js'

/** Opens a connection as the engine would. */
export function openMysql(given: unknown, context: Partial<ConnectionContext> = {}): MysqlConnection {
  const { definition } = mysql
  return definition.open(definition.options.parse(given), {
    app: 'weir-test',
    name: 'mysql',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '',
    ...context,
  })
}

const query = <R>(connection: MysqlConnection, sql: string): Promise<R[]> =>
  lastValueFrom(connection.run((client) => client.query<R>(sql)))

/** What the contract needs of a database, over one connection for each store. */
export async function mysqlCheckpointsUnderTest(
  connect: () => MysqlConnection,
  { sever, close }: Pick<Required<CheckpointsUnderTest>, 'sever' | 'close'>,
): Promise<Required<CheckpointsUnderTest>> {
  const observer = connect()
  await query(observer, 'CREATE TABLE joined (name VARCHAR(100) PRIMARY KEY)')
  const opened = new Set([observer])
  return {
    connect: () => {
      const connection = connect()
      opened.add(connection)
      return Promise.resolve(mysqlCheckpoints(connection))
    },
    join: (transaction, row) =>
      joined(transaction).run((client) => client.query('INSERT INTO joined VALUES (?)', [row])),
    joined: async () => (await query<{ name: string }>(observer, 'SELECT name FROM joined')).map(({ name }) => name),
    sever,
    age: () => query(observer, 'ALTER TABLE weir_positions DROP COLUMN further'),
    close: async () => {
      for (const connection of opened) await connection.close()
      await close()
    },
  }
}

function joined(transaction: EpochTransaction): SqlTransaction<MysqlClient> {
  if (transaction instanceof SqlTransaction) return transaction as SqlTransaction<MysqlClient>
  throw new TypeError('not a transaction of MySQL')
}

export function mysqlHarness(
  connection: MysqlConnection,
  options: Readonly<Record<string, unknown>>,
  joins: boolean,
): SinkHarness {
  const checkpoints = mysqlCheckpoints(connection)
  return new SinkHarness({ definition: mysqlSink, connection, checkpoints, options, joins })
}

export interface MysqlSinkSetup {
  readonly connection: MysqlConnection
  /** Each kind of sink under test has its own. */
  readonly table: string
  readonly options?: Readonly<Record<string, unknown>>
  readonly joins?: boolean
  close(): Promise<void>
}

/** A table of items for the sink contract. */
export async function mysqlSinkUnderTest(setup: MysqlSinkSetup): Promise<TriedSink> {
  const { connection, table, options = {}, joins = false, close } = setup
  const row = ({ id, text, ...more }: Item) => ({ id, text, ...more })
  const create = `CREATE TABLE ${table} (id INT PRIMARY KEY, text TEXT CHARACTER SET utf8mb4 CHECK (text <> 'refused'))`
  const harness = mysqlHarness(connection, { table, row, create, ...options }, joins)
  await harness.open()
  return {
    reset: async () => {
      harness.rejecting.forget()
      await query(connection, `DELETE FROM ${table}`)
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => query<Item>(connection, `SELECT id, text FROM ${table}`),
    rejecting: harness.rejecting,
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    odd: {
      ...oddRows,
      'text beyond its column': { id: 80, text: 'x'.repeat(70_000) },
    },
    close,
  }
}
