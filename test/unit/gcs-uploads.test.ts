import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { done, read, write } from '../contracts/blob-stores.contract.js'
import { content } from '../support/content.js'
import { hastyClock } from '../support/hasty-clock.js'
import { listLog } from '../support/list-log.js'

const quantum = 256 * 1_024

/**
 * Takes resumable uploads as Google documents them, and as the server of the other tests does not: of a chunk it may keep only
 * the first part, a multiple of 256 KiB, and it passes over bytes that it has.
 */
class ResumableServer {
  file: Buffer | undefined
  readonly asked: string[] = []
  /** How much of a chunk that is not the last is kept. */
  keeps = 1
  /** How many answers are lost. */
  lost = 0
  private kept = Buffer.alloc(0)
  private readonly server = createServer((asked, answer) => void this.handle(asked, answer))

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of asked) pieces.push(piece as Buffer)
    const { 'content-range': range, range: wanted } = asked.headers
    this.asked.push([asked.method, range].filter(Boolean).join(' '))
    const say = (status: number, headers: Record<string, string> = {}, body: string | Buffer = '{}') => {
      if (this.lost-- > 0) return void answer.destroy()
      answer.writeHead(status, headers).end(body)
    }
    if (asked.method === 'POST') return say(200, { location: `${this.url}/session` })
    if (asked.method === 'GET' && wanted === undefined) return say(200, {}, JSON.stringify({ size: this.file?.length }))
    if (asked.method === 'GET') {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(wanted ?? '') ?? []
      return say(206, {}, this.file?.subarray(Number(from), Number(to) + 1))
    }
    if (this.file !== undefined) return say(404)
    const [, from = '', total = ''] = /^bytes (\d+)-\d+\/(.+)$/.exec(range ?? '') ?? []
    const body = Buffer.concat(pieces)
    if (Number(from) > this.kept.length) return say(400)
    const news = body.subarray(this.kept.length - Number(from))
    const isLast = Number(from) + body.length === Number(total)
    const bytes = isLast ? news.length : Math.ceil((news.length * this.keeps) / quantum) * quantum
    this.kept = Buffer.concat([this.kept, news.subarray(0, bytes)])
    if (this.kept.length !== Number(total)) return say(308, { range: `bytes=0-${this.kept.length - 1}` })
    this.file = this.kept
    say(200)
  }
}

let server: ResumableServer
beforeEach(async () => {
  server = new ResumableServer()
  await server.start()
})
afterEach(() => server.close())

const bytes = content(20_000_000)
const open = (more: object = {}) =>
  openStore(storeOptions.parse({ backend: 'gcs', bucket: 'b', endpoint: server.url, ...more }), {
    clock: hastyClock(20),
    log: listLog(),
  })

test('what Google did not keep of a part is sent again, from where it says', async () => {
  server.keeps = 0.5
  await write(open(), 'a', bytes)
  expect(server.file?.equals(bytes)).toBe(true)
  expect(server.asked.slice(0, 3)).toEqual(['POST', 'PUT bytes 0-8388607/*', 'PUT bytes 4194304-8388607/*'])
})

test('parts whose answers are lost are sent again, and none of them is there twice', async () => {
  const store = open()
  const writer = store.create('a')
  await done(writer.write(bytes.subarray(0, 100)))
  server.lost = 3
  await done(writer.write(bytes.subarray(100)))
  server.lost = 2
  await done(writer.complete())
  expect(server.file?.equals(bytes)).toBe(true)
  expect((await read(store, 'a')).equals(bytes)).toBe(true)
})

test('a key file that is not there is told with what to do', async () => {
  const store = openStore(storeOptions.parse({ backend: 'gcs', bucket: 'b', keyFile: '/no/such/key.json' }), {
    clock: hastyClock(20),
    log: listLog(),
    patienceMs: 0,
  })
  await expect(write(store, 'a', content(3))).rejects.toMatchObject({
    code: 'WEIR_BLOB_REFUSED',
    hint: expect.stringContaining('keyFile'),
  })
})

test.each([
  [{ backend: 's3', bucket: 'b', accessKeyId: 'a' }, 'expected both'],
  [{ backend: 'azure', container: 'c' }, 'expected either'],
  [{ backend: 'gcs', bucket: 'b', prefix: '/a' }, 'with no / at either end'],
  [{ backend: 'file', path: '' }, ''],
  [{ backend: 'ftp' }, ''],
])('%j is no store', (options, why) => {
  const parsed = storeOptions.safeParse(options)
  expect([parsed.success, parsed.error?.message]).toEqual([false, expect.stringContaining(why)])
})
