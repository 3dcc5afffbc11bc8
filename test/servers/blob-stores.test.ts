import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlobServiceClient } from '@azure/storage-blob'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { silentLogger } from '../../src/model/index.js'
import type { BlobStore } from '../../src/sinks/archive/blob-store.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { type HinderedStore, hindrances, type Way } from '../contracts/blob-faults.contract.js'
import { done, names, type StoreUnderTest, storeContract, write } from '../contracts/blob-stores.contract.js'
import { content } from '../support/content.js'
import { hastyClock } from '../support/hasty-clock.js'
import { listLog } from '../support/list-log.js'
import { azureAccount, BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'
import { cutRequest, type Fault, FaultProxy, saying } from './fault-proxy.js'

const missing = await missingBlobServers()

const hurry = 20
const clock = hastyClock(hurry)
const mebibyte = 1_024 * 1_024
const xml = { 'content-type': 'application/xml' }
const askingForTime = { 'retry-after': '10' }

storeContract(
  'files',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-blobs-'))
    const places = new Places(listLog())
    return Promise.resolve<StoreUnderTest>({
      partBytes: mebibyte,
      isSwept: true,
      get options() {
        return { backend: 'file', path: join(folder, places.name) }
      },
      open() {
        return places.open(this.options)
      },
      reset: () => places.reset(),
      close: async () => {
        await places.reset()
        rmSync(folder, { recursive: true })
      },
    })
  },
  10_000,
)

describe.skipIf(missing !== undefined)(`real stores${missing === undefined ? '' : ` (${missing})`}`, () => {
  storeContract(
    'S3',
    async () => {
      const server = await BlobServer.s3(s3Account)
      const options = { backend: 's3', ...s3Account, region: 'us-east-1' }
      const saysNo = (status: number, code: string, headers = {}) =>
        saying(status, `<Error><Code>${code}</Code><Message>no</Message></Error>`, { ...xml, ...headers })
      return hindered(server, {
        optionsOf: (endpoint, prefix) => ({ ...options, endpoint, prefix }),
        missing: (endpoint, bucket) => ({ ...options, endpoint, bucket }),
        make: (bucket) => mkdirSync(join(server.directory, 'data', bucket)),
        stranger: (endpoint) => ({ ...options, endpoint, secretAccessKey: 'another' }),
        busy: saysNo(500, 'InternalError'),
        throttled: saysNo(503, 'SlowDown', askingForTime),
        denied: saysNo(403, 'AccessDenied'),
        takesPartsTwice: true,
        isSwept: true,
      })
    },
    installMs,
    hindrances,
    renewals,
  )

  storeContract(
    'Azure',
    async () => {
      const server = await BlobServer.azure()
      const { name, key } = azureAccount
      const login = (url: string, accountKey = key) =>
        `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${accountKey};BlobEndpoint=${url}/${name};`
      const containerOf = (container: string) =>
        BlobServiceClient.fromConnectionString(login(server.url)).getContainerClient(container)
      await containerOf('archive').create()
      const optionsOf = (url: string, prefix: string, container = 'archive', accountKey = key) => {
        return { backend: 'azure', container, prefix, connectionString: login(url, accountKey) }
      }
      const saysNo = (status: number, code: string, headers = {}) =>
        saying(
          status,
          `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`,
          {
            ...xml,
            'x-ms-error-code': code,
            ...headers,
          },
        )
      return hindered(server, {
        optionsOf,
        missing: (url, container) => optionsOf(url, '', container),
        make: (container) => containerOf(container).create(),
        stranger: (url) => optionsOf(url, '', 'archive', Buffer.from('another').toString('base64')),
        busy: saysNo(500, 'InternalError'),
        throttled: saysNo(503, 'ServerBusy', askingForTime),
        denied: saysNo(403, 'AuthorizationPermissionMismatch'),
        takesPartsTwice: true,
        isSwept: false,
      })
    },
    installMs,
    hindrances,
  )

  storeContract(
    'Google Cloud Storage',
    async () => {
      const server = await BlobServer.gcs()
      const make = (bucket: string) =>
        fetch(`${server.url}/storage/v1/b`, { method: 'POST', body: JSON.stringify({ name: bucket }) })
      await make('archive')
      const saysNo = (status: number, message: string, headers = {}) =>
        saying(
          status,
          JSON.stringify({ error: { code: status, message, errors: [{ reason: 'no', message }] } }),
          headers,
        )
      return hindered(server, {
        optionsOf: (endpoint, prefix) => ({ backend: 'gcs', bucket: 'archive', endpoint, prefix }),
        missing: (endpoint, bucket) => ({ backend: 'gcs', bucket, endpoint }),
        make,
        busy: saysNo(503, 'We encountered an internal error. Please try again.'),
        throttled: saysNo(429, 'The object exceeded the rate limit', askingForTime),
        denied: saysNo(403, 'weir does not have storage.objects.create access'),
        takesPartsTwice: false,
        isSwept: false,
      })
    },
    installMs,
    hindrances,
  )
})

/** What differs from store to store. */
interface Parts extends Pick<HinderedStore, 'busy' | 'throttled' | 'denied' | 'takesPartsTwice' | 'isSwept'> {
  optionsOf(url: string, prefix: string): object
  missing(url: string, bucket: string): object
  make(bucket: string): unknown
  stranger?(url: string): object
  readonly denied: Fault
}

async function hindered(server: BlobServer, parts: Parts): Promise<HinderedStore> {
  const { optionsOf, missing, make, stranger, ...rest } = parts
  const proxy = await FaultProxy.start(server.port)
  const log = listLog()
  const places = new Places(log)
  return {
    ...rest,
    proxy,
    log,
    partBytes: 8 * mebibyte,
    get options() {
      return optionsOf(server.url, places.name)
    },
    open: () => places.open(optionsOf(server.url, places.name)),
    through: (way) => places.open(optionsOf(proxy.url, places.name), way),
    missing: (way) => places.open(missing(server.url, `missing-${places.name}`), way),
    make: () => Promise.resolve(make(`missing-${places.name}`)),
    ...(stranger === undefined ? {} : { stranger: (way?: Way) => places.open(stranger(server.url), way) }),
    reset: async () => {
      await places.reset()
      proxy.reset()
    },
    close: async () => {
      await places.reset()
      await proxy.close()
      await server.close()
    },
  }
}

/** Another place with each test, and the stores that were opened for it. */
class Places {
  private tests = 0
  private opened: BlobStore[] = []

  constructor(private readonly log: ReturnType<typeof listLog>) {}

  get name(): string {
    return `test-${this.tests}`
  }

  /** Deadlines are as far away as ever, but for those that are about to be met: a busy machine is slow. */
  open(options: object, { patienceMs, requestTimeout = 60_000 * hurry }: Way = {}): BlobStore {
    const parsed = storeOptions.parse({ ...options, requestTimeout })
    const store = openStore(parsed, { clock, log: this.log, ...(patienceMs === undefined ? {} : { patienceMs }) })
    this.opened.push(store)
    return store
  }

  async reset(): Promise<void> {
    const opened = this.opened
    this.opened = []
    await Promise.all(opened.map((store) => done(store.close())))
    this.log.lines.length = 0
    this.tests++
  }
}

function renewals(kind: () => HinderedStore): void {
  test('keys that are renewed in the file where the SDK has found them are found there again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-keys-'))
    const file = join(folder, 'credentials')
    const { accessKeyId, secretAccessKey, ...options } = kind().options as typeof s3Account
    const keep = (id: string, secret: string) =>
      writeFileSync(file, `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`)
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file)
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'none'))
    onTestFinished(() => {
      vi.unstubAllEnvs()
      rmSync(folder, { recursive: true })
    })
    keep('old', 'old')
    const store = openStore(storeOptions.parse(options), { clock, log: silentLogger })
    const written = write(store, 'a/file', content(10))
    await vi.waitFor(() => expect(store.state).toMatchObject({ error: { code: 'WEIR_BLOB_REFUSED' } }), 60_000)
    keep(accessKeyId, secretAccessKey)
    await written
    expect(await names(store)).toEqual(['a/file'])
    await done(store.close())
  })

  test('a clock that is wrong is set right by what the store answers', async () => {
    const { proxy } = kind()
    const hour = 3_600_000
    const skewed = '<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>'
    proxy.meet(saying(403, skewed, { ...xml, date: new Date(Date.now() + hour).toUTCString() }))
    const asked: unknown[] = []
    proxy.meetings.on('met', ({ headers }) => asked.push(headers['x-amz-date']))
    proxy.meet(cutRequest)
    await write(kind().through(), 'a/file', content(10))
    const [wrong, right] = asked.map((text) =>
      Date.parse(String(text).replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')),
    )
    expect(Number(right) - Number(wrong)).toBeGreaterThan(hour - 60_000)
  })
}
