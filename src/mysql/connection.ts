import type { createPool } from 'mysql2'
import type { Pool, PoolConnection } from 'mysql2/promise'
import { defer, type Observable } from 'rxjs'
import type { ConnectionContext } from '../model/index.js'
import { loadPeer } from '../model/optional-peer.js'
import { type Lease, Leases, type SqlConnection } from '../sql/index.js'
import { MysqlClient } from './client.js'
import { mysqlFaults } from './faults.js'
import { addressOf, type ConnectionOptions, poolConfig } from './options.js'

interface Driver {
  readonly createPool: typeof createPool
}

/** A pool of connections to one database, opened at first use. */
export class MysqlConnection implements SqlConnection<MysqlClient> {
  readonly faults = mysqlFaults
  readonly singleSession = false
  readonly address: string
  private readonly leases = new Leases(mysqlFaults, () => this.connect())
  private readonly prepared = new WeakSet()
  private pool: Pool | undefined

  constructor(
    private readonly options: ConnectionOptions,
    private readonly context: ConnectionContext,
  ) {
    this.address = addressOf(options)
  }

  run<T>(work: (client: MysqlClient) => Promise<T>): Observable<T> {
    return defer(() => this.leases.use(work))
  }

  get idleLimitMs(): number {
    return this.options.statementTimeout
  }

  lease(): Promise<Lease<MysqlClient>> {
    return this.leases.take()
  }

  async close(): Promise<void> {
    const { pool } = this
    this.pool = undefined
    this.leases.destroy()
    await pool?.end()
  }

  private async connect(): Promise<Lease<MysqlClient>> {
    this.pool ??= this.makePool()
    const connection = await this.pool.getConnection()
    const client = new MysqlClient(connection, this.options.statementTimeout)
    try {
      await this.prepare(connection, client)
    } catch (error) {
      connection.destroy()
      throw error
    }
    return {
      client,
      release: (fate) => (fate === 'keep' ? connection.release() : connection.destroy()),
    }
  }

  private makePool(): Pool {
    const { app, name } = this.context
    const driver = loadPeer<Driver>('mysql2', `connection '${name}'`)
    return driver.createPool(poolConfig(this.options, app)).promise()
  }

  /** Makes a new session independent of how the server is set up. */
  private async prepare({ connection }: PoolConnection, client: MysqlClient): Promise<void> {
    if (this.prepared.has(connection)) return
    // The loss of a connection shows in its statement, and it may err more than once.
    connection.on('error', () => undefined)
    await client.query(sessionSettings(this.options))
    // The fence has to see what others committed meanwhile, and rows that are not written need no locks.
    await client.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
    this.prepared.add(connection)
  }
}

/** Times in UTC, and no value that is changed in silence to make it fit. */
function sessionSettings({ statementTimeout }: ConnectionOptions): string {
  const lockWait = statementTimeout === 0 ? '' : `, innodb_lock_wait_timeout = ${Math.ceil(statementTimeout / 1_000)}`
  return `SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'TRADITIONAL'${lockWait}`
}
