import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findProgram, freePort, missingServer } from './server-support.js'

export interface RedisServerOptions {
  /** More of the server's settings, as its command line takes them. */
  readonly settings?: readonly string[]
}

/** A Redis server of the test's own, with an append-only file, on a loopback port that stays the same over restarts. */
export class RedisServer {
  private process: ChildProcess | undefined

  private constructor(
    private readonly program: string,
    private readonly directory: string,
    readonly port: number,
    private readonly settings: readonly string[],
  ) {}

  /** Errors when there is no program; ask `missingRedis` before. */
  static async start({ settings = [] }: RedisServerOptions = {}): Promise<RedisServer> {
    const program = findProgram('redis-server')
    if (program === undefined) throw new Error('starting Redis: it is not installed')
    const directory = mkdtempSync(join(tmpdir(), 'weir-redis-'))
    const server = new RedisServer(program, directory, await freePort(), settings)
    await server.start()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const log = openSync(this.log, 'w')
    const settings = ['--bind', '127.0.0.1', '--port', String(this.port), '--appendonly', 'yes', '--save', '']
    this.process = spawn(this.program, [...settings, ...this.settings], {
      cwd: this.directory,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    running.add(this)
    while (!(await this.isReady())) {
      if (this.process.exitCode !== null) throw new Error(`starting Redis:\n${readFileSync(this.log, 'utf8')}`)
      await sleep(10)
    }
  }

  /** As a machine that loses power, but for what the system still writes. */
  async kill(): Promise<void> {
    const { process: server } = this
    if (server === undefined) return
    if (server.exitCode === null && server.signalCode === null) {
      const exited = once(server, 'exit')
      server.kill('SIGKILL')
      await exited
    }
    this.process = undefined
    running.delete(this)
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** Runs commands on a connection of its own. */
  async use<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await work(client)
    } finally {
      client.disconnect()
    }
  }

  /** Cuts every connection but the test's own. */
  async disconnectClients(): Promise<void> {
    await this.use((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
  }

  /** Kills it when the test process ends without having closed it. */
  abandon(): void {
    this.process?.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** Asks without logging in: a server that wants a password is there, too. */
  private async isReady(): Promise<boolean> {
    const socket = createConnection(this.port, '127.0.0.1', () => socket.write('PING\r\n'))
    try {
      const [answer] = (await once(socket, 'data')) as [Buffer]
      return /^(\+PONG|-NOAUTH)/.test(answer.toString())
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  }

  private get log(): string {
    return join(this.directory, 'log')
  }
}

/**
 * Why there is no Redis here, or undefined when there is. Installs it where that can be done.
 * Errors instead when the tests' servers are required.
 */
export function missingRedis(): string | undefined {
  return missingServer({
    name: 'Redis',
    debian: 'redis-server',
    isThere: () => findProgram('redis-server') !== undefined,
  })
}

const running = new Set<RedisServer>()
process.once('exit', () => {
  for (const server of running) server.abandon()
})
