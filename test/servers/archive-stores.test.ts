import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { BlobServiceClient } from '@azure/storage-blob'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
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

  describe.each(Object.entries(places))('%s', (_, open) => {
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
  })
})
