import type * as cassandra from 'cassandra-driver'
import { defer, type Observable } from 'rxjs'
import type { Connection, ConnectionContext } from '../model/index.js'
import { loadPeer } from '../model/optional-peer.js'
import { CassandraClient } from './client.js'
import { cassandraFaults } from './faults.js'
import { quoted } from './identifiers.js'
import { addressOf, type ConnectionOptions, clientOptions } from './options.js'

const firstPauseMs = 100
const longestPauseMs = 2_000

type Driver = typeof cassandra

interface Session {
  readonly client: CassandraClient
  close(): Promise<void>
}

/** A session with one cluster, opened at first use. */
export class CassandraConnection implements Connection {
  readonly faults = cassandraFaults
  readonly address: string
  private session: Promise<Session> | undefined

  constructor(
    private readonly options: ConnectionOptions,
    private readonly context: ConnectionContext,
  ) {
    this.address = addressOf(options)
  }

  run<T>(work: (client: CassandraClient) => Promise<T>): Observable<T> {
    return defer(async () => work((await this.opened()).client))
  }

  async close(): Promise<void> {
    const { session } = this
    this.session = undefined
    const opened = await session?.catch(() => undefined)
    await opened?.close()
  }

  /** A client that could not connect is of no use any more: the next try makes another. */
  private async opened(): Promise<Session> {
    const opening = (this.session ??= this.open())
    try {
      return await opening
    } catch (error) {
      if (this.session === opening) this.session = undefined
      throw error
    }
  }

  private async open(): Promise<Session> {
    const { keyspace, replication, consistency } = this.options
    const driver = loadPeer<Driver>('cassandra-driver', `connection '${this.context.name}'`)
    if (replication !== undefined) await this.createKeyspace(driver, replication)
    const client = await this.connect(driver, keyspace)
    return {
      client: new CassandraClient(client, driver.types, keyspace, consistency),
      close: () => client.shutdown(),
    }
  }

  private async createKeyspace(driver: Driver, replication: number): Promise<void> {
    const { keyspace, localDataCenter } = this.options
    const client = await this.connect(driver)
    try {
      if (client.metadata.keyspaces[keyspace] !== undefined) return
      const strategy = `{'class': 'NetworkTopologyStrategy', '${localDataCenter.replaceAll("'", "''")}': ${replication}}`
      await client.execute(`CREATE KEYSPACE IF NOT EXISTS ${quoted(keyspace)} WITH replication = ${strategy}`)
    } finally {
      await client.shutdown()
    }
  }

  private async connect(driver: Driver, keyspace?: string): Promise<cassandra.Client> {
    const { ExponentialReconnectionPolicy } = driver.policies.reconnection
    const client = new driver.Client({
      ...clientOptions(this.options, this.context.app),
      ...(keyspace === undefined ? {} : { keyspace }),
      // The driver's own would wait for up to ten minutes before it looks for nodes that were away.
      policies: { reconnection: new ExponentialReconnectionPolicy(firstPauseMs, longestPauseMs, false) },
    })
    try {
      await client.connect()
      return client
    } catch (error) {
      await client.shutdown()
      throw error
    }
  }
}
