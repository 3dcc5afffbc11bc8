import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlobServiceClient } from '@azure/storage-blob'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ArchiveRow } from '../../src/codecs/archive/file-format.js'
import { openParquet } from '../../src/codecs/parquet/parquet-file.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { done, names, read, write } from '../contracts/blob-stores.contract.js'
import { fileOf } from '../support/archive-rows.js'
import { DuckDb } from '../support/duckdb.js'
import { Archive } from './archive-support.js'
import { azureAccount, BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'
import { cutRequest, type Fault, FaultProxy, held, neverAnswer } from './fault-proxy.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'

const missing = (await missingBlobServers()) ?? requireKafka()
const because = missing === undefined ? '' : ` (${missing})`

/** A server of a store, and how it is reached by some way. */
interface Place {
  readonly server: BlobServer
  optionsOf(url: string): object
}

const places: Readonly<Record<string, () => Promise<Place>>> = {
  S3: async () => ({
    server: await BlobServer.s3(s3Account),
    optionsOf: (endpoint) => ({ backend: 's3', ...s3Account, region: 'us-east-1', endpoint }),
  }),
  Azure: async () => {
    const server = await BlobServer.azure()
    const { name, key } = azureAccount
    const login = (url: string) =>
      `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=${url}/${name};`
    await BlobServiceClient.fromConnectionString(login(server.url)).getContainerClient('archive').create()
    return {
      server,
      optionsOf: (url) => ({ backend: 'azure', container: 'archive', connectionString: login(url) }),
    }
  },
  'Google Cloud Storage': async () => {
    const server = await BlobServer.gcs()
    await fetch(`${server.url}/storage/v1/b`, { method: 'POST', body: JSON.stringify({ name: 'archive' }) })
    return { server, optionsOf: (endpoint) => ({ backend: 'gcs', bucket: 'archive', endpoint }) }
  },
}

/** A part of a file that is not its last, in the words of each store. */
const isPart = ({ url = '', headers }: IncomingMessage) =>
  /[?&](partNumber=1(&|$)|comp=block(&|$))/.test(url) || /\/\*$/.test(headers['content-range'] ?? '')

/** What makes a file of its parts. */
const isLast = ({ url = '', method, headers }: IncomingMessage) =>
  (method === 'POST' && /[?&]uploadId=/.test(url)) ||
  /[?&]comp=blocklist/.test(url) ||
  /\/\d+$/.test(headers['content-range'] ?? '')

/** What changes something. */
const isWrite = ({ method = '' }: IncomingMessage) => !['GET', 'HEAD'].includes(method)

/** The file that a request is about, in the words of each store. */
const fileIn = (request = '') => /[^/=&?]+\/v1\/dt=[^?&]*\.parquet/.exec(decodeURIComponent(request))?.[0] ?? ''

/** The same file in the bytes of another version. */
async function otherwise(name: string, bytes: Buffer): Promise<Buffer> {
  const range = (from: number, to: number) => Promise.resolve(bytes.subarray(from, to))
  const opened = await openParquet(name, { size: bytes.length, read: range })
  const rows: ArchiveRow[] = []
  for await (const some of opened.rows()) rows.push(...some.map((row) => ({ ...row, headers: [] })))
  return fileOf(parquetFormat('gzip'), rows)
}

/** Does what was asked, and says so to nobody but the test. */
const doneInSilence =
  (done: () => void): Fault =>
  async ({ pass }) => {
    await pass()
    done()
  }

describe.skipIf(missing !== undefined)(`archives in stores${because}`, () => {
  let [cluster, duckdb] = [] as unknown as [KafkaCluster, DuckDb]
  beforeAll(async () => {
    cluster = await KafkaCluster.start()
    duckdb = await DuckDb.start()
  })
  afterAll(async () => {
    duckdb?.close()
    await cluster?.close()
  })

  describe.each(Object.entries(places))('%s', (kind, open) => {
    let [place, proxy] = [] as unknown as [Place, FaultProxy]
    beforeAll(async () => {
      place = await open()
      proxy = await FaultProxy.start(place.server.port)
    }, installMs)
    afterAll(async () => {
      await proxy?.close()
      await place?.server.close()
    })

    test('has each event once, whenever in an upload a process dies, sleeps or is told to stop, or the store is away', async () => {
      // A file of so many is one of two parts, if as many are read before its time is over.
      const [perFile, text] = [24, () => randomBytes(400_000).toString('base64')]
      const { bootstrap: brokers } = cluster
      const archive = new Archive({ brokers, duckdb, partitions: 2, text, store: place.optionsOf(place.server.url) })
      const start = () => archive.start({ MAX_RECORDS: String(perFile), EVERY: '8000' }, place.optionsOf(proxy.url))
      const met = (times: number) => vi.waitFor(() => expect(proxy.met).toBe(times), 180_000)
      await archive.send(perFile * 3)

      // It dies with a part of a file on its way.
      proxy.meet(neverAnswer, 1, isPart)
      const first = start()
      await met(1)
      await first.kill()

      // It dies when a file is there, and before it hears of it.
      const stored = new Promise<void>((done) => proxy.meet(doneInSilence(done), 1, isLast))
      const second = start()
      await stored
      await second.kill()

      // It sleeps while the end of an upload is on its way, which comes when another has written the file.
      const late = new AbortController()
      proxy.meet(held(once(late.signal, 'abort')), 1, isLast)
      const sleeper = start()
      await archive.send(perFile)
      await met(3)
      sleeper.signal('SIGSTOP')
      const heir = start()
      await heir.working()
      await archive.settle()
      late.abort()
      sleeper.signal('SIGCONT')

      // The store goes away, and comes back.
      proxy.reset()
      proxy.meet(cutRequest, Number.POSITIVE_INFINITY)
      await archive.send(perFile)
      await vi.waitFor(() => expect(sleeper.log + heir.log).toContain('Nothing is tried for'), 180_000)
      proxy.reset()
      await archive.settle()

      // Who is told to stop stores what it has.
      await archive.send(perFile)
      await heir.working()
      for (const worker of [sleeper, heir]) worker.signal('SIGTERM')
      await Promise.all([sleeper.exited, heir.exited])
      const last = start()
      await archive.settle()
      expect(last.log).not.toContain('WEIR_BLOB')
    })

    test('makes a file again as it was to be, whatever has changed, and takes nothing for it that is another', async () => {
      const { bootstrap: brokers } = cluster
      const direct = place.optionsOf(place.server.url)
      const archive = new Archive({ brokers, duckdb, partitions: 1, store: direct })
      const { store } = archive
      const start = (way: object, more = {}) => archive.start({ MAX_RECORDS: '50', EVERY: '3600000', ...more }, way)
      const asked: { name: string; body: Buffer }[] = []
      const kept =
        (then?: Promise<unknown>): Fault =>
        async ({ asked: { url }, body, pass, reply }) => {
          asked.push({ name: fileIn(url), body: await body() })
          if (then === undefined) return
          await then
          reply(await pass())
        }
      const overheard = (files: number) => vi.waitFor(() => expect(asked).toHaveLength(files), 180_000)
      proxy.reset()

      // It dies when two files are decided on, and nothing of them is stored.
      proxy.meet(kept(), Number.POSITIVE_INFINITY, isWrite)
      const first = start(place.optionsOf(proxy.url), { COMPRESSION: 'snappy', TZ: 'Pacific/Kiritimati' })
      await archive.send(100)
      await overheard(2)
      await first.kill()
      proxy.reset()
      const heir = start(place.optionsOf(proxy.url), { COMPRESSION: 'gzip', TZ: 'America/Los_Angeles', HURRY: '3' })
      await archive.settle()
      for (const { name, body } of asked.splice(0)) expect((await read(store, name)).equals(body)).toBe(true)

      // It dies as well, and somebody puts something else there before the next one looks.
      proxy.meet(kept(), 1, isWrite)
      await archive.send(50)
      await overheard(1)
      await heir.kill()
      const [{ name: taken } = { name: '' }] = asked.splice(0)
      await write(store, taken, randomBytes(1_000))
      const third = start(direct)
      await vi.waitFor(() => expect(third.log).toContain(`${taken}: another file lies there already`), 180_000)
      await third.kill()
      expect((await read(store, taken)).length).toBe(1_000)
      await done(store.remove(taken))

      // An older version of Weir stores the same records while this one is at it.
      const go = new AbortController()
      proxy.reset()
      proxy.meet(kept(once(go.signal, 'abort')), 2, isWrite)
      const fourth = start(place.optionsOf(proxy.url))
      await archive.send(50)
      await overheard(2)
      const [{ name, body } = { name: '', body: Buffer.alloc(0) }] = asked.slice(-1)
      const older = await otherwise(name, body)
      expect(older.equals(body)).toBe(false)
      await write(store, name, older)
      go.abort()
      await archive.settle()
      expect((await read(store, name)).equals(older)).toBe(true)
      expect(await names(store, archive.name)).toHaveLength(4)
      expect(fourth.log).not.toContain('WEIR_BLOB')
    })

    // What each store makes of it, its contract tells.
    test.runIf(kind === 'S3')(
      'is in health, not ready and says why while its store is away for minutes, and takes in no more',
      async () => {
        const { bootstrap: brokers } = cluster
        const text = () => 'x'.repeat(5_000)
        const archive = new Archive({ brokers, duckdb, partitions: 2, text, store: place.optionsOf(place.server.url) })
        proxy.reset()
        const more = { HURRY: '20', TELL: 'read', MAX_RECORDS: '100', EVERY: '60000' }
        const worker = archive.start(more, place.optionsOf(proxy.url))
        const told = (what: RegExp) => Number(worker.log.match(what)?.at(-1)?.replace(/\D/g, '') ?? 0)
        const recordsRead = () => told(/^read \d+$/gm)
        await archive.send(300)
        await archive.settle()
        proxy.meet(cutRequest, Number.POSITIVE_INFINITY)
        const stop = archive.flood()
        await vi.waitFor(() => expect(worker.log).toMatch(/\nhealthy, not ready: .*(writing|listing) /), 180_000)
        const [since, before] = [worker.log.length, recordsRead()]
        // Two minutes of its clock: longer than its probes let it be without a commit.
        await sleep(6_000)
        await stop()
        expect(worker.log.slice(since)).not.toMatch(/ailing/)
        expect(archive.sent).toBeGreaterThan(before + 1_000)
        expect(recordsRead() - before).toBeLessThanOrEqual(400)
        proxy.reset()
        await archive.settle()
        await expect
          .poll(() =>
            worker.log
              .trim()
              .split('\n')
              .filter((line) => !line.startsWith('read'))
              .at(-1),
          )
          .toMatch(/healthy, ready$/)
      },
    )
  })
})
