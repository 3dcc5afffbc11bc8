import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createGzip } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/job.js'
import { freePort } from './server-support.js'

const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))
const mebibyte = 1 << 20

/** `weir run` of a configuration of the test's own, with little memory. */
class Attacked {
  readonly directory = mkdtempSync(join(tmpdir(), 'weir-attacked-'))
  said = ''
  private child: ChildProcess | undefined
  private readonly sockets: Socket[] = []

  private constructor(readonly port: number) {}

  static async start(flows: string, environment: Readonly<Record<string, string>> = {}): Promise<Attacked> {
    const attacked = new Attacked(await freePort())
    const names = 'consoleSink, defineConfig, feed, flow, generate, http, json, kafka, memory, secret, view'
    writeFileSync(
      join(attacked.directory, 'flows.config.ts'),
      `import { ${names} } from 'weirflow'
       const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
       export default defineConfig({ ${flows} })`,
    )
    const args = ['--max-old-space-size=768', command, 'run', '--host', '127.0.0.1', '--port', `${attacked.port}`]
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment }
    const child = spawn(process.execPath, args, { cwd: attacked.directory, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const note = (text: string) => {
      attacked.said += text
    }
    child.stdout.setEncoding('utf8').on('data', note)
    child.stderr.setEncoding('utf8').on('data', note)
    attacked.child = child
    process.once('exit', () => child.kill('SIGKILL'))
    return attacked
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get isAlive(): boolean {
    return this.child?.exitCode === null && this.child.signalCode === null
  }

  /** The highest resident memory so far, MiB. */
  get mostMemory(): number {
    const status = readFileSync(`/proc/${this.child?.pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1_024
  }

  /** Sends something, reads nothing of the answer, and stays. Resolves when it is connected, or was turned away. */
  sends(text: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => {
        socket.write(text)
        resolve()
      })
      socket.on('error', () => resolve()).pause()
      this.sockets.push(socket)
    })
  }

  /** How often callers were turned away for this reason; 0 where nobody says. */
  async refusals(reason: string): Promise<number> {
    const text = await fetch(`${this.url}/metrics`, { signal: AbortSignal.timeout(60_000) }).then(
      (answer) => answer.text(),
      () => '',
    )
    const counts = text.matchAll(new RegExp(`weir_http_refused_total\\{reason="(?:${reason})"\\} (\\d+)`, 'g'))
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  leave(): void {
    for (const socket of this.sockets.splice(0)) socket.destroy()
  }

  /** The status of an answer that is read to its end; 0 where there is none. */
  async status(path: string, options: RequestInit = {}): Promise<number> {
    try {
      const answer = await fetch(this.url + path, { signal: AbortSignal.timeout(60_000), ...options })
      await answer.arrayBuffer()
      return answer.status
    } catch {
      return 0
    }
  }

  /** A caller that means well, and comes again when it is told to. */
  async served(path: string, status: number, options: RequestInit = {}): Promise<void> {
    await until(async () => (await this.status(path, options)) === status, `${path} answers with ${status}`)
  }

  end(): void {
    this.leave()
    this.child?.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}

let worker: Attacked

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
const many = (count: number, act: (index: number) => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))

describe('a worker of 768 MB', () => {
  const event = { method: 'POST', body: '{"a":1}', headers: { traceparent: `00-${'a'.repeat(12_000)}` } }
  let bomb: Server
  let asked = 0

  beforeAll(async () => {
    bomb = createServer((_, response) => {
      asked++
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      const gzip = createGzip()
      gzip.on('error', () => undefined).pipe(response)
      const fill = () => {
        while (!response.destroyed) if (!gzip.write(Buffer.alloc(mebibyte, ' '))) return void gzip.once('drain', fill)
      }
      fill()
    })
    const bombPort = await freePort()
    await new Promise<void>((resolve) => bomb.listen(bombPort, '127.0.0.1', resolve))
    worker = await Attacked.start(`
      connections: { kafka: kafka({ brokers: 'embedded' }) },
      checkpoints: memory(),
      http: { maxConnections: 300 },
      flows: {
        events: flow(http.post('/events', { body: Event }), kafka.sink({ topic: 'events' })),
        large: flow(
          generate({ rate: 1_000_000, count: 30_000, value: (_random, index) => index }),
          view({ path: '/stats', entries: (index: number) => ({ table: 't', key: \`\${index} \${'k'.repeat(180)}\`, value: index }) }),
        ),
        inflated: flow(
          feed({ url: 'http://127.0.0.1:${bombPort}', items: () => [], id: String, time: Number, every: '1s' }),
          consoleSink(),
        ),
      },`)
    await worker.served('/ready', 200)
    await until(
      async () => {
        const answer = await fetch(`${worker.url}/stats?top=1`)
        return (await answer.text()).includes('"29999 ')
      },
      'the view is large',
      120_000,
    )
  })
  afterAll(() => {
    worker?.end()
    bomb?.closeAllConnections()
    bomb?.close()
  })
  afterEach(() => worker.leave())

  const half = `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048576\r\n\r\n"${'x'.repeat(900_000)}`
  const piece = `POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n8000\r\n${'x'.repeat(32_768)}\r\n`
  const headers = `GET /stats HTTP/1.1\r\nx: ${'y'.repeat(8_000)}`

  /** What somebody does, and why some of those are turned away. */
  const attacks: [string, string | undefined, () => Promise<unknown>][] = [
    [
      'does not read what it asked for',
      'unread answers|slow reader',
      () => many(24, (i) => worker.sends(get(`/stats?top=${28_000 + (i % 12)}`))),
    ],
    [
      'does not read its streams',
      'slow reader',
      () => many(40, (i) => worker.sends(get(`/stats/stream?top=${27_000 + (i % 3)}`))),
    ],
    [
      'sends requests ahead',
      'requests ahead',
      () => many(20, (i) => worker.sends(get('/stats/stream?top=1') + get(`/stats?top=${26_000 + i}`).repeat(120))),
    ],
    ['sends half of its bodies', 'bodies', () => many(200, () => worker.sends(half))],
    ['sends its bodies in pieces', undefined, () => many(50, () => worker.sends(piece))],
    ['is slow to send its headers', undefined, () => many(200, () => worker.sends(headers))],
    ['opens more connections than there are', 'connections', () => many(450, () => worker.sends(''))],
    ['posts headers that would be copied', undefined, () => many(300, () => worker.status('/events', event))],
    [
      'asks for as many answers as there are numbers',
      undefined,
      () =>
        many(4, async (lane) => {
          for (let i = 0; i < 3; i++) await worker.status(`/stats?top=${29_000 + lane * 3 + i}`)
        }),
    ],
  ]

  test.each(attacks)('lives on when somebody %s, and serves the others', async (_, reason, attack) => {
    const before = reason === undefined ? 0 : await worker.refusals(reason)
    await attack()
    await worker.served('/events', 202, event)
    await worker.served('/stats?top=3', 200)
    await worker.served('/health', 200)
    if (reason !== undefined) await until(async () => (await worker.refusals(reason)) > before, `${reason} are counted`)
    expect(worker.isAlive).toBe(true)
    expect(worker.mostMemory).toBeLessThan(1_024)
  })

  test('asks for the feed that inflates again and again, and never has it all', async () => {
    await until(() => asked > 2, 'the feed is asked for')
    expect(worker.said).toMatch(/polling http[^ ]*: .*67108864/)
  })
})

describe('a port with a token', () => {
  const token = 'a token of some length'
  const shown = { authorization: `Bearer ${token}` }
  const url = 'http://127.0.0.1:9/hook/AbCdEfGhIjKlMnOp'

  beforeAll(async () => {
    worker = await Attacked.start(
      `
      connections: { kafka: kafka({ brokers: 'embedded' }) },
      checkpoints: memory(),
      http: { origins: ['https://shop.example'] },
      flows: {
        events: flow(http.post('/events', { body: Event }), consoleSink()),
        shown: flow(
          generate({ rate: 1_000, count: 10, value: (_random, index) => index }),
          view({ path: '/stats', entries: (index: number) => ({ table: 't', key: \`\${index}\`, value: index }) }),
        ),
        polled: flow(
          feed({ url: secret('FEED_URL'), items: () => [], id: String, time: Number, every: '1s' }),
          consoleSink({ name: 'items' }),
        ),
      },`,
      { WEIR_TOKEN: token, FEED_URL: url },
    )
    await worker.served('/health', 200)
    await worker.served('/stats', 200, { headers: shown })
  })
  afterAll(() => worker?.end())

  const routes: [string, string][] = [
    ['POST', '/events'],
    ['GET', '/stats'],
    ['HEAD', '/stats'],
    ['GET', '/stats/stream'],
    ['GET', '/views'],
    ['GET', '/metrics'],
    ['GET', '/version'],
    ['GET', '/nothing'],
  ]

  test.each(routes)('asks for it at %s %s', async (method, path) => {
    const ask = async (headers: Record<string, string>) => {
      const gone = new AbortController()
      const body = method === 'POST' ? { body: '{"a":1}' } : {}
      const { status } = await fetch(worker.url + path, { method, headers, signal: gone.signal, ...body })
      gone.abort()
      return status
    }
    expect(await ask({})).toBe(401)
    expect(await ask({ authorization: 'Bearer another token of that' })).toBe(401)
    expect(await ask({ authorization: `Basic ${token}` })).toBe(401)
    expect(await ask(shown)).toBe(path === '/nothing' ? 404 : method === 'POST' ? 202 : 200)
    expect(await ask({ ...shown, origin: 'https://evil.example' })).toBe(403)
    expect(await ask({ ...shown, origin: 'https://shop.example' })).not.toBe(403)
  })

  test('is told of by nobody, nor are its secrets', async () => {
    await until(() => worker.said.includes('polling '), 'the feed is asked for')
    const told = await Promise.all(
      ['/health', '/ready', '/metrics', '/views', '/version', '/nothing'].map(async (path) =>
        (await fetch(worker.url + path, { headers: shown })).text(),
      ),
    )
    for (const text of [worker.said, ...told]) {
      expect(text).not.toContain(token)
      expect(text).not.toContain('AbCdEfGhIjKlMnOp')
    }
  })

  test('has the control characters of records escaped before they reach the terminal', async () => {
    const body = JSON.stringify({ text: '\u001b[2J\u009b\u202e' })
    expect(await worker.status('/events', { method: 'POST', headers: shown, body })).toBe(202)
    await until(() => worker.said.includes('[2J'), 'it is printed')
    expect(worker.said).not.toMatch(/[\u001b\u009b\u202e]/)
  })
})
