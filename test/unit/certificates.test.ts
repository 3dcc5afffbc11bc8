import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { firstValueFrom } from 'rxjs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { schemaRegistry } from '../../src/codecs/schema-registry.js'
import { cassandra, mysql, postgres, redis } from '../../src/index.js'
import { causeOf } from '../../src/model/cause-of.js'
import { type ConnectionContext, messageOf, silentLogger, systemClock } from '../../src/model/index.js'
import { clientConfig, connectionOptions } from '../../src/postgres/options.js'
import { withoutTls } from '../../src/postgres/url-tls.js'
import { Poller } from '../../src/sources/feed/poller.js'
import { askOf } from '../../src/sources/sse/client.js'
import { type Certificate, selfSigned } from '../support/certificates.js'
import { failureOf } from '../support/use-connection.js'

/** Speaks TLS, and notes whether a client that saw the certificate went on to say something. */
class TlsServer {
  said = 0
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  constructor(
    private readonly certificate: Certificate,
    asksFirst: boolean,
  ) {
    this.server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('error', () => undefined)
      if (!asksFirst) return this.secure(socket)
      // PostgreSQL asks first whether it may.
      socket.once('data', () => {
        socket.write('S')
        this.secure(socket)
      })
    })
  }

  private secure(socket: Socket): void {
    const { cert, key } = this.certificate
    const secured = new TLSSocket(socket, { isServer: true, cert, key })
    secured.on('error', () => undefined)
    secured.on('data', () => {
      this.said++
      secured.destroy()
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return (this.server.address() as AddressInfo).port
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

let certificate: Certificate
beforeAll(() => {
  certificate = selfSigned()
})

const servers: TlsServer[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

type Ssl = true | { ca?: string; rejectUnauthorized?: boolean }
const clients = {
  postgres: (port: number, ssl: Ssl) => postgres({ url: `postgres://u:p@localhost:${port}/d`, ssl }),
  redis: (port: number, ssl: Ssl) => redis({ url: `rediss://127.0.0.1:${port}`, ssl, timeout: '3s' }),
  cassandra: (port: number, ssl: Ssl) =>
    cassandra({ contactPoints: [`localhost:${port}`], keyspace: 'k', ssl, timeout: '3s' }),
}

describe.each(['postgres', 'redis', 'cassandra'] as const)('%s', (kind) => {
  async function said(ssl: Ssl): Promise<{ count: number; error: unknown }> {
    const server = new TlsServer(certificate, kind === 'postgres')
    servers.push(server)
    const error = await failureOf(clients[kind](await server.listen(), ssl))
    return { count: server.said, error }
  }

  test.each([
    ['nobody has signed', true],
    ['another authority has signed', { ca: selfSigned().cert }],
  ] as const)('says nothing to a server whose certificate %s, and tells why', async (_, ssl) => {
    const { count, error } = await said(ssl)
    expect(count).toBe(0)
    expect(
      JSON.stringify([
        String(error),
        Object.values((error as { innerErrors?: object })?.innerErrors ?? {}).map(String),
      ]),
    ).toMatch(/self-signed certificate|unable to verify/)
  })

  test('speaks with a server whose certificate it is given', async () => {
    const { count } = await said({ ca: certificate.cert })
    expect(count).toBeGreaterThan(0)
  })
})

describe('what is asked over HTTPS', () => {
  const textOf = (error: unknown) => `${messageOf(error)} ${causeOf(error)}`
  const asking: [string, (url: string) => Promise<unknown>][] = [
    [
      'a feed',
      (url) => new Poller({ url, everyMs: 1_000, timeoutMs: 10_000, maxBytes: 1_000, clock: systemClock }).poll(),
    ],
    ['a stream of events', (url) => firstValueFrom(askOf(url)({}))],
    [
      'a schema registry',
      (url) => {
        const { definition } = schemaRegistry
        const registry = definition.open(definition.options.parse({ url, timeout: '5s' }), {
          app: 'a',
          name: 'c',
          clock: systemClock,
          log: silentLogger,
          production: false,
          dataDirectory: '.',
        })
        return firstValueFrom(registry.schema(1)).finally(() => registry.close())
      },
    ],
  ]

  test.each(asking)(
    '%s says nothing to a server whose certificate nobody has signed, and tells why',
    async (_, ask) => {
      const server = new TlsServer(certificate, false)
      servers.push(server)
      const error = await ask(`https://localhost:${await server.listen()}/`).then(() => undefined, textOf)
      expect(error).toMatch(/self-signed certificate/)
      expect(server.said).toBe(0)
    },
  )
})

describe('an authority of your own', () => {
  const item = JSON.stringify({ items: [{ id: 'quake', at: 1 }] })
  const answers: Record<string, [type: string, body: string]> = {
    '/feed': ['application/json', item],
    '/events': ['text/event-stream', 'data: edit\n\n'],
    '/schemas/ids/1': ['application/json', '{"schema":"\\"string\\""}'],
  }
  let server: ReturnType<typeof createHttps>
  let cwd: string
  let url: string
  beforeAll(async () => {
    server = createHttps(certificate, (request, response) => {
      const [type, body] = answers[(request.url ?? '').split('?')[0] ?? ''] ?? ['text/plain', '']
      response.writeHead(200, { 'content-type': type }).write(body)
      if (type !== 'text/event-stream') response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `https://localhost:${(server.address() as AddressInfo).port}`
    cwd = mkdtempSync(join(tmpdir(), 'weir-authority-'))
    writeFileSync(
      join(cwd, 'flows.config.ts'),
      `import { consoleSink, defineConfig, feed, flow, memory, sse } from 'weirflow'
       const items = (document: any) => document.items
       export default defineConfig({ app: 'x', checkpoints: memory(), flows: {
         feed: flow(feed({ url: '${url}/feed', items, id: (item: any) => item.id, time: (item: any) => item.at }), consoleSink()),
         events: flow(sse({ url: '${url}/events', onError: 'skip' }), consoleSink()),
       } })`,
    )
    for (const [name, { cert }] of Object.entries({ own: certificate, foreign: selfSigned() }))
      writeFileSync(join(cwd, `${name}.pem`), cert)
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
    rmSync(cwd, { recursive: true })
  })

  test.each([
    ['own', [/quake/, /edit/]],
    ['foreign', [/polling.+NODE_EXTRA_CA_CERTS/, /reading.+NODE_EXTRA_CA_CERTS/]],
  ] as const)('named by NODE_EXTRA_CA_CERTS, %s, counts for feeds and streams of events', async (name, patterns) => {
    const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(cwd, `${name}.pem`) }
    const child = spawn(process.execPath, [command, 'run', '--port', '0'], { cwd, env })
    let text = ''
    for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => (text += chunk.toString()))
    try {
      for (const pattern of patterns) await expect.poll(() => text).toMatch(pattern)
    } finally {
      child.kill('SIGKILL')
    }
  })

  test('of a schema registry is its option ssl', async () => {
    const { definition } = schemaRegistry
    const ask = async (ssl: object) => {
      const registry = definition.open(definition.options.parse({ url, ssl, timeout: '5s' }), {} as ConnectionContext)
      return firstValueFrom(registry.schema(1)).finally(() => registry.close())
    }
    expect(await ask({ ca: certificate.cert })).toEqual({ schema: '"string"', type: 'AVRO' })
    await expect(ask({ ca: selfSigned().cert })).rejects.toThrow(/self-signed certificate/)
  })
})

describe('what a URL of postgres says about TLS', () => {
  const at = 'postgres://u:p@db/x'
  const configOf = (url: string, more: object = {}) => clientConfig(connectionOptions.parse({ url, ...more }))

  test.each([
    ['sslmode=disable', true],
    ['sslmode=no-verify', true],
    ['sslmode=require', { ca: 'x' }],
    ['ssl=true', false],
  ])('is refused beside the option ssl: %s', (said, ssl) => {
    const { error } = connectionOptions.safeParse({ url: `${at}?${said}`, ssl })
    expect(error?.issues).toMatchObject([{ path: ['ssl'], message: expect.stringContaining(said) }])
  })

  test.each(['sslmode=allow', 'uselibpqcompat=true&sslmode=require', 'ssl=perhaps', 'sslmode=require&ssl=true'])(
    'is refused where it is not clear: %s',
    (said) => expect(connectionOptions.safeParse({ url: `${at}?${said}` }).error?.issues).toHaveLength(1),
  )

  test('holds by itself, and whoever asks for TLS has the certificate verified', () => {
    for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full']) {
      expect(configOf(`${at}?sslmode=${mode}&application_name=a`)).toEqual({
        connectionString: `${at}?application_name=a`,
        ssl: {},
      })
    }
    expect(configOf(`${at}?sslmode=disable`).ssl).toBe(false)
    expect(configOf(`${at}?sslmode=no-verify`).ssl).toEqual({ rejectUnauthorized: false })
    expect(configOf(`${at}?ssl=1`).ssl).toEqual({})
    expect(configOf(at, { ssl: true })).toEqual({ connectionString: at, ssl: true })
    expect(configOf(at)).toEqual({ connectionString: at })
    expect(withoutTls(`${at}?a=b`)).toBe(`${at}?a=b`)
  })

  test('looks for an address in the certificate where the host is one', () => {
    expect(configOf('postgres://u:p@10.0.0.1/x', { ssl: true }).ssl).toEqual({ host: '10.0.0.1' })
  })
})

test('a URL of redis that says TLS is refused beside an option that says none', () => {
  const { definition } = redis
  expect(definition.options.safeParse({ url: 'rediss://h', ssl: false }).error?.issues).toMatchObject([
    { path: ['ssl'] },
  ])
  expect(mysql.definition.options.safeParse({ url: 'mysql://h/d?ssl=x' }).success).toBe(false)
})
