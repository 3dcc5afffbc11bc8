import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { ServerProcess } from './server-process.js'
import { findProgram, freePort, isRoot, missingServer, ownerOf } from './server-support.js'

const password = 'p@ss/word'

/** What a new server lacks; run at each start. */
const firstStatements = `
  CREATE DATABASE IF NOT EXISTS weir CHARACTER SET utf8mb4;
  CREATE USER IF NOT EXISTS weir@'127.0.0.1' IDENTIFIED BY '${password}';
  GRANT ALL ON *.* TO weir@'127.0.0.1' WITH GRANT OPTION;
`

export interface MariadbServerOptions {
  /** The largest packet, in bytes. Default: 16 MiB. */
  readonly maxAllowedPacket?: number
  /** Speaks TLS with these, in PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** A MariaDB server of the test's own, on a loopback port that stays the same over restarts. */
export class MariadbServer {
  private constructor(
    private readonly program: string,
    private readonly process: ServerProcess,
    readonly port: number,
    private readonly options: MariadbServerOptions,
  ) {}

  /** Errors when there are no programs; ask `missingMariadb` before. */
  static async start(options: MariadbServerOptions = {}): Promise<MariadbServer> {
    const [program, install] = [findProgram('mariadbd'), findProgram('mariadb-install-db')]
    if (program === undefined || install === undefined) throw new Error('starting MariaDB: it is not installed')
    const directory = mkdtempSync(join(tmpdir(), 'weir-mariadb-'))
    if (isRoot) chownSync(directory, owner().uid ?? 0, owner().gid ?? 0)
    const settings = ['--no-defaults', `--datadir=${join(directory, 'data')}`, '--skip-test-db']
    execFileSync(install, [...settings, '--auth-root-authentication-method=normal'], {
      ...owner(),
      cwd: directory,
      stdio: 'pipe',
    })
    writeFileSync(join(directory, 'init.sql'), firstStatements.replaceAll(/\n */g, ' ').replaceAll('; ', ';\n'))
    for (const [name, pem] of Object.entries(options.tls ?? {})) writeFileSync(join(directory, `${name}.pem`), pem)
    const process = new ServerProcess({ directory, owner: owner() })
    const server = new MariadbServer(program, process, await freePort(), options)
    await server.start()
    return server
  }

  get url(): string {
    return `mysql://weir:${encodeURIComponent(password)}@127.0.0.1:${this.port}/weir`
  }

  async start(): Promise<void> {
    if (await this.process.start(this.program, this.args, () => this.query('SELECT 1'))) return
    throw new Error(`starting MariaDB:\n${this.process.said}`)
  }

  /** Ends sessions and writes everything down. */
  stop(): Promise<void> {
    return this.process.end('SIGTERM')
  }

  /** As a machine that loses power, but for what the system still writes. */
  kill(): Promise<void> {
    return this.process.end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.kill()
    this.process.remove()
  }

  /** Runs one statement on a connection of its own. */
  async query<R>(sql: string, values: unknown[] = []): Promise<R[]> {
    const client = await createConnection({ uri: this.url, timezone: 'Z', multipleStatements: true })
    client.on('error', () => undefined)
    try {
      const [rows] = await client.query<RowDataPacket[]>(sql, values)
      return rows as R[]
    } finally {
      await client.end()
    }
  }

  /** Ends every session but the test's own. Completes when they are gone. */
  async terminateSessions(): Promise<void> {
    const others = "SELECT id FROM information_schema.processlist WHERE user = 'weir' AND id <> CONNECTION_ID()"
    const sessions = await this.query<{ id: number }>(others)
    for (const { id } of sessions) await this.query(`KILL CONNECTION ${id}`).catch(() => undefined)
    const listed = `${others} AND id IN (${[0, ...sessions.map(({ id }) => id)].join()})`
    while ((await this.query(listed)).length > 0) await sleep(10)
  }

  private get args(): string[] {
    const { directory } = this.process
    const { tls, maxAllowedPacket = 16 * 1_024 * 1_024 } = this.options
    const settings = [
      `datadir=${join(directory, 'data')}`,
      `socket=${join(directory, 'socket')}`,
      `pid-file=${join(directory, 'pid')}`,
      `init-file=${join(directory, 'init.sql')}`,
      `port=${this.port}`,
      'bind-address=127.0.0.1',
      'skip-name-resolve',
      'innodb-buffer-pool-size=64M',
      // What was committed outlives the server, but not the machine.
      'innodb-flush-log-at-trx-commit=2',
      'max-connections=60',
      `max-allowed-packet=${maxAllowedPacket}`,
      // What sessions have to set for themselves.
      'default-time-zone=+05:45',
      'sql-mode=',
      'character-set-server=latin1',
      ...['cert', 'key'].flatMap((name) => (tls === undefined ? [] : [`ssl-${name}=${join(directory, name)}.pem`])),
    ]
    return ['--no-defaults', ...settings.map((setting) => `--${setting}`)]
  }
}

/** Why there is no MariaDB here, or undefined when there is. */
export function missingMariadb(): string | undefined {
  return missingServer({
    name: 'MariaDB',
    debian: 'mariadb-server',
    isThere: () => findProgram('mariadbd') !== undefined && findProgram('mariadb-install-db') !== undefined,
  })
}

/** MariaDB refuses to run as root. */
const owner = () => ownerOf('mysql')
