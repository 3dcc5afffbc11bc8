import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { ServerProcess } from './server-process.js'
import { findProgram, freePort, missingServer } from './server-support.js'

export interface RedisServerOptions {
  /** More of the server's settings, as its command line takes them. */
  readonly settings?: readonly string[]
  /** Speaks TLS with these, in PEM, on one more port. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Makes it a sentinel instead, with these settings, which it keeps up to date itself. */
  readonly sentinel?: string
}

/**
 * What is acknowledged is in the file. With the usual `appendfsync everysec` the server puts off writing to it while it waits
 * for the disk, and being killed it would take acknowledged commits with it, now and then.
 */
const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

/** A Redis server of the test's own, with an append-only file, on a loopback port that stays the same over restarts. */
export class RedisServer {
  private constructor(
    private readonly program: string,
    private readonly process: ServerProcess,
    readonly port: number,
    private readonly settings: readonly string[],
    /** Where it speaks TLS; 0 where it does not. */
    readonly tlsPort: number,
  ) {}

  /** Errors when there is no program; ask `missingRedis` before. */
  static async start({ settings = [], tls, sentinel }: RedisServerOptions = {}): Promise<RedisServer> {
    const program = findProgram('redis-server')
    if (program === undefined) throw new Error('starting Redis: it is not installed')
    const process = new ServerProcess({ directory: mkdtempSync(join(tmpdir(), 'weir-redis-')) })
    const file = join(process.directory, 'sentinel.conf')
    if (sentinel !== undefined) writeFileSync(file, sentinel)
    const kind = sentinel === undefined ? durable : [file, '--sentinel']
    const tlsPort = tls === undefined ? 0 : await freePort()
    const secured = tls === undefined ? [] : securityOf(tlsPort, tls, process.directory)
    const server = new RedisServer(program, process, await freePort(), [...kind, ...settings, ...secured], tlsPort)
    await server.start()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const settings = [...this.settings, '--bind', '127.0.0.1', '--port', String(this.port)]
    if (await this.process.start(this.program, settings, () => this.ping())) return
    throw new Error(`starting Redis:\n${this.process.said}`)
  }

  /** As a machine that loses power, but for what the system still writes. */
  kill(): Promise<void> {
    return this.process.end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.kill()
    this.process.remove()
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

  /** Asks without logging in: a server that wants a password is there, too. */
  private async ping(): Promise<void> {
    const socket = createConnection(this.port, '127.0.0.1', () => socket.write('PING\r\n'))
    try {
      const [answer] = (await once(socket, 'data')) as [Buffer]
      if (!/^(\+PONG|-NOAUTH)/.test(answer.toString())) throw new Error(`Redis said ${answer.toString()}`)
    } finally {
      socket.destroy()
    }
  }
}

function securityOf(port: number, tls: { readonly cert: string; readonly key: string }, directory: string): string[] {
  const file = (name: 'cert' | 'key') => {
    const path = join(directory, `${name}.pem`)
    writeFileSync(path, tls[name])
    return path
  }
  const files = ['--tls-cert-file', file('cert'), '--tls-key-file', file('key')]
  return ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no']
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
