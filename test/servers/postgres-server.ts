import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { ServerProcess } from './server-process.js'
import { childrenOf, freePort, isExecutable, isRoot, missingServer, ownerOf, searchPath } from './server-support.js'

export interface PostgresServerOptions {
  /** Writes survive a crash of the machine; slower. Needed to test crashes of the server. */
  readonly fsync?: boolean
  /** A zone other than UTC, to catch what depends on it. */
  readonly timezone?: string
  /** Settings of the server, `name=value`. */
  readonly settings?: readonly string[]
  /** Speaks TLS with these, in PEM, and has `guest` come by TLS alone, with the password `right`. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** A PostgreSQL server of the test's own, on a loopback port that stays the same over restarts. */
export class PostgresServer {
  private constructor(
    private readonly binaries: string,
    private readonly process: ServerProcess,
    readonly port: number,
    private readonly options: PostgresServerOptions,
  ) {}

  /** Errors when there are no binaries; ask `missingPostgres` before. */
  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const binaries = findBinaries()
    if (binaries === undefined) throw new Error('starting PostgreSQL: it is not installed')
    const directory = mkdtempSync(join(tmpdir(), 'weir-postgres-'))
    if (isRoot) chownSync(directory, owner().uid, owner().gid)
    execFileSync(
      join(binaries, 'initdb'),
      ['-D', join(directory, 'data'), '-U', 'weir', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
      {
        ...owner(),
        cwd: directory,
        stdio: 'pipe',
      },
    )
    if (options.tls !== undefined) secure(join(directory, 'data'), options.tls)
    const server = new PostgresServer(
      binaries,
      new ServerProcess({ directory, owner: owner() }),
      await freePort(),
      options,
    )
    await server.start()
    if (options.tls !== undefined) await server.query("CREATE ROLE guest LOGIN PASSWORD 'right'")
    return server
  }

  /** A server that follows this one, and takes no writes before it is promoted. */
  async standby(): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'weir-postgres-'))
    if (isRoot) chownSync(directory, owner().uid, owner().gid)
    const from = ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'weir']
    const copy = ['-D', join(directory, 'data'), '--write-recovery-conf', '--checkpoint=fast', '--no-sync']
    execFileSync(join(this.binaries, 'pg_basebackup'), [...from, ...copy], {
      ...owner(),
      cwd: directory,
      stdio: 'pipe',
    })
    const process = new ServerProcess({ directory, owner: owner() })
    const server = new PostgresServer(this.binaries, process, await freePort(), this.options)
    await server.start()
    // What is acknowledged it has.
    await this.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await this.query('SELECT pg_reload_conf()')
    return server
  }

  /** A folder that the server may write to. */
  folder(name: string): string {
    const path = join(this.process.directory, name)
    mkdirSync(path)
    if (isRoot) chownSync(path, owner().uid ?? 0, owner().gid ?? 0)
    return path
  }

  get url(): string {
    return `postgres://weir@127.0.0.1:${this.port}/postgres`
  }

  async start(): Promise<void> {
    // What a killed server leaves of its shared memory goes when the last of its processes does; until then it refuses.
    for (let attempt = 1; ; attempt++) {
      if (await this.process.start(join(this.binaries, 'postgres'), this.args, () => this.query('SELECT 1'))) return
      if (attempt === 50) throw new Error(`starting PostgreSQL:\n${this.process.said}`)
      await sleep(100)
    }
  }

  /** `smart` waits for clients to leave, `fast` ends their sessions, `immediate` drops all and recovers at the next start. */
  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.process.end(({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const)[mode])
  }

  /** Every process of the server at once, as a machine that loses power, but for what the system still writes. */
  async kill(): Promise<void> {
    const { pid } = this.process
    for (const child of pid === undefined ? [] : childrenOf(pid)) {
      try {
        process.kill(child, 'SIGKILL')
      } catch {
        // It was gone already.
      }
    }
    await this.process.end('SIGKILL')
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(mode)
    await this.start()
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.stop('immediate')
    this.process.remove()
  }

  /** Runs one statement on a connection of its own. */
  async query<R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'observer' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.query<R>(text, values)).rows
    } finally {
      await client.end()
    }
  }

  /** Ends every session but the test's own. Completes when they are gone. */
  async terminateSessions(): Promise<void> {
    await this.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name <> 'observer' AND backend_type = 'client backend'",
    )
  }

  private get args(): string[] {
    const { fsync = false, timezone = 'Asia/Kathmandu', tls, settings: more = [] } = this.options
    const settings = [
      ...more,
      `port=${this.port}`,
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
      'max_connections=60',
      `fsync=${fsync ? 'on' : 'off'}`,
      `timezone=${timezone}`,
      `ssl=${tls === undefined ? 'off' : 'on'}`,
    ]
    return ['-D', join(this.process.directory, 'data'), ...settings.flatMap((setting) => ['-c', setting])]
  }
}

/** Why there is no PostgreSQL here, or undefined when there is. */
export function missingPostgres(): string | undefined {
  return missingServer({
    name: 'PostgreSQL',
    debian: 'postgresql',
    isThere: () => findBinaries() !== undefined,
    prepare: () => {
      // Debian would make and start a cluster that nobody wants.
      mkdirSync('/etc/postgresql-common/createcluster.d', { recursive: true })
      writeFileSync('/etc/postgresql-common/createcluster.d/no-main-cluster.conf', 'create_main_cluster = false\n')
    },
  })
}

function findBinaries(): string | undefined {
  const debian = versions('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
  return [...debian, ...searchPath].find(
    (folder) => isExecutable(join(folder, 'initdb')) && isExecutable(join(folder, 'postgres')),
  )
}

function versions(folder: string): string[] {
  try {
    return readdirSync(folder).sort((a, b) => Number(b) - Number(a))
  } catch {
    return []
  }
}

function secure(data: string, { cert, key }: { readonly cert: string; readonly key: string }): void {
  const files = { 'server.crt': cert, 'server.key': key, 'pg_hba.conf': logins }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(data, name), text, { mode: 0o600 })
    if (isRoot) chownSync(join(data, name), owner().uid ?? 0, owner().gid ?? 0)
  }
}

const logins = 'host all weir all trust\nhostssl all guest all scram-sha-256\n'

/** PostgreSQL refuses to run as root. */
const owner = () => ownerOf('postgres')
