import { join } from 'node:path'
import pg, { type ClientConfig, type Pool, type PoolClient, type QueryResultRow } from 'pg'
import { defer, type Observable } from 'rxjs'
import { type ConnectionContext, isWeirError, messageOf, WeirError } from '../model/index.js'
import { type Lease, Leases, type ReadLimits, type SqlConnection, type SqlReader, type SqlRow } from '../sql/index.js'
import { EmbeddedServer } from './embedded.js'
import { postgresFaults } from './faults.js'
import { addressOf, type ConnectionOptions, clientConfig, isEmbedded } from './options.js'
import { readRows } from './read-rows.js'

const connectTimeoutMs = 10_000
/** How much later than the server the client gives up on a statement: then the server is out of reach. */
const answerGraceMs = 5_000

interface Opened {
  readonly pool: Pool
  readonly embedded: EmbeddedServer | undefined
}

/** A pool of connections to one database, opened at first use. */
export class PostgresConnection implements SqlConnection<PoolClient>, SqlReader {
  readonly faults = postgresFaults
  readonly address: string
  /** The embedded server has one session, and takes no COPY. */
  readonly singleSession: boolean
  private readonly leases = new Leases(postgresFaults, () => this.connect())
  private opened: Promise<Opened> | undefined

  constructor(
    private readonly options: ConnectionOptions,
    private readonly context: ConnectionContext,
  ) {
    this.singleSession = isEmbedded(options)
    this.address = this.singleSession ? `embedded Postgres in ${this.directory}` : addressOf(options)
    if (this.singleSession && context.production) throw productionError(context.name)
  }

  run<T>(work: (client: PoolClient) => Promise<T>): Observable<T> {
    return defer(() => this.leases.use(work))
  }

  /** The rows of one statement. */
  query<R extends QueryResultRow>(text: string, values: readonly unknown[] = []): Observable<R[]> {
    return this.run(async (client) => (await client.query<R>(text, [...values])).rows)
  }

  read(query: string, values: readonly unknown[], limits: ReadLimits): Observable<readonly SqlRow[]> {
    // What the server still sends of too many rows ends with its connection. The embedded one must not lose it in mid-statement.
    const hasMoreToSend = (error: unknown) => isWeirError(error) && error.code === 'WEIR_QUERY_TOO_LARGE'
    return defer(() =>
      this.leases.use(
        (client) => readRows(client, { query, values, limits, toTheEnd: this.singleSession }),
        (error) => postgresFaults.of(error) === 'connection' || (hasMoreToSend(error) && !this.singleSession),
      ),
    )
  }

  get idleLimitMs(): number {
    return this.singleSession ? 0 : this.options.statementTimeout
  }

  lease(): Promise<Lease<PoolClient>> {
    return this.leases.take()
  }

  async close(): Promise<void> {
    const opened = await this.opened?.catch(() => undefined)
    this.opened = undefined
    this.leases.destroy()
    await opened?.pool.end()
    await opened?.embedded?.close()
  }

  private async connect(): Promise<Lease<PoolClient>> {
    const { pool } = await this.open()
    const client = await pool.connect()
    // The pool listens only to idle clients; the loss of one at work shows in its statement.
    client.on('error', ignore)
    return {
      client,
      release: (fate) => {
        client.removeListener('error', ignore)
        // The pool leaves a client it destroys with no listener, and a dying connection may err more than once.
        if (fate === 'destroy') client.on('error', ignore)
        client.release(fate === 'destroy')
      },
    }
  }

  private open(): Promise<Opened> {
    this.opened ??= this.start().catch((error: unknown) => {
      this.opened = undefined
      throw error
    })
    return this.opened
  }

  private async start(): Promise<Opened> {
    const embedded = this.singleSession ? await this.startEmbedded() : undefined
    return { pool: this.makePool(embedded?.client ?? clientConfig(this.options)), embedded }
  }

  private async startEmbedded(): Promise<EmbeddedServer> {
    const embedded = await EmbeddedServer.start(this.directory)
    this.context.log.warn(
      { directory: this.directory },
      'PostgreSQL is embedded (PGlite): for trying out, not for production. Name a server in the connection to use that.',
    )
    return embedded
  }

  private makePool(where: ClientConfig): Pool {
    const { poolSize, statementTimeout } = this.options
    const timeouts =
      statementTimeout === 0 || this.singleSession
        ? {}
        : {
            statement_timeout: statementTimeout,
            query_timeout: statementTimeout + answerGraceMs,
            idle_in_transaction_session_timeout: this.idleLimitMs,
          }
    const pool = new pg.Pool({
      ...where,
      ...timeouts,
      max: this.singleSession ? 1 : poolSize,
      keepAlive: true,
      application_name: this.context.app,
      Client: ImpatientClient,
    })
    pool.on('error', (error) => this.context.log.warn(`idle connection to ${this.address}: ${messageOf(error)}`))
    return pool
  }

  private get directory(): string {
    return join(this.context.dataDirectory, 'postgres')
  }
}

/** The pool's own time limit would also count the wait for a free client, which may rightly take an epoch. */
class ImpatientClient extends pg.Client {
  constructor(config?: ClientConfig) {
    super({ ...config, connectionTimeoutMillis: connectTimeoutMs })
  }
}

function ignore(): void {}

function productionError(name: string): WeirError {
  return new WeirError(
    'WEIR_CONFIG_EMBEDDED',
    `opening connection '${name}': the embedded Postgres is not for production`,
    {
      hint: 'Give it a `url`, or `host`, `user`, `password` and `database`.',
    },
  )
}
