import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlobServiceClient } from '@azure/storage-blob'
import { lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { write } from '../contracts/blob-stores.contract.js'
import { writeArchive } from '../support/archive-folder.js'
import { plainRow } from '../support/archive-rows.js'
import { weirIn } from '../support/weir.js'
import { azureAccount, BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'

const missing = await missingBlobServers()

/** A kind of store: how a configuration gets to it, and how a command does. */
interface Kind {
  start(): Promise<BlobServer>
  make?(url: string): Promise<unknown>
  options(url: string): object
  where(url: string): string
  readonly environment?: Readonly<Record<string, string>>
}

const prefix = 'kept/events'
const azureLogin = (url: string) =>
  `DefaultEndpointsProtocol=http;AccountName=${azureAccount.name};AccountKey=${azureAccount.key};BlobEndpoint=${url}/${azureAccount.name};`

const kinds: readonly (readonly [string, Kind])[] = [
  [
    'S3',
    {
      start: () => BlobServer.s3(s3Account),
      options: (endpoint) => ({ backend: 's3', ...s3Account, region: 'us-east-1', endpoint, prefix }),
      where: (url) => `s3://archive/${prefix}?endpoint=${encodeURIComponent(url)}&region=us-east-1`,
      environment: {
        AWS_ACCESS_KEY_ID: s3Account.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3Account.secretAccessKey,
      },
    },
  ],
  [
    'Azure',
    {
      start: () => BlobServer.azure(),
      make: (url) => BlobServiceClient.fromConnectionString(azureLogin(url)).getContainerClient('archive').create(),
      options: (url) => ({ backend: 'azure', container: 'archive', prefix, connectionString: azureLogin(url) }),
      where: () => `azure://archive/${prefix}`,
    },
  ],
  [
    'Google Cloud Storage',
    {
      start: () => BlobServer.gcs(),
      make: (url) => fetch(`${url}/storage/v1/b`, { method: 'POST', body: JSON.stringify({ name: 'archive' }) }),
      options: (endpoint) => ({ backend: 'gcs', bucket: 'archive', prefix, endpoint }),
      where: (url) => `gs://archive/${prefix}?endpoint=${url}`,
    },
  ],
]

describe.skipIf(missing !== undefined).each(kinds)('an archive in %s', (_, kind) => {
  let server: BlobServer
  let cwd: string
  let names: string[]
  let where: string
  beforeAll(async () => {
    server = await kind.start()
    await kind.make?.(server.url)
    cwd = mkdtempSync(join(tmpdir(), 'weir-archive-stores-'))
    const folder = join(cwd, 'files')
    const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => plainRow(from + index))
    names = [
      await writeArchive(folder, rows(0, 1_000)),
      await writeArchive(folder, rows(1_000, 1_500), { format: avroFormat('deflate') }),
      await writeArchive(folder, rows(1_600, 1_700)),
    ]
    const options = kind.options(server.url)
    const store = openStore(storeOptions.parse(options), { clock: systemClock, log: silentLogger })
    for (const name of names) await write(store, name, readFileSync(join(folder, name)))
    await lastValueFrom(store.close(), { defaultValue: undefined })
    writeFileSync(
      join(cwd, 'flows.config.ts'),
      `import { archive, cloudEvents, defineConfig, flow, kafka } from 'weirflow'
      export default defineConfig({
        app: 'a', checkpoints: 'kafka', connections: { kafka: kafka({ brokers: 'localhost:1' }) },
        flows: { events: flow(
          kafka.source({ topic: 't', group: 'g' }), cloudEvents.decode({ data: 'raw' }),
          archive.sink({ store: ${JSON.stringify(options)} }),
        ) },
      })`,
    )
    where = kind.where(server.url)
  }, installMs)
  beforeEach(() => {
    for (const [name, value] of Object.entries(kind.environment ?? {})) vi.stubEnv(name, value)
    return () => vi.unstubAllEnvs()
  })
  afterAll(async () => {
    await server?.close()
    if (cwd !== undefined) rmSync(cwd, { recursive: true })
  })

  const weir = (...argv: string[]) =>
    weirIn(cwd, ['archive', ...argv], { AZURE_STORAGE_CONNECTION_STRING: azureLogin(server.url) })

  test('is the same as in a folder, by its URL and by the flow that writes it', async () => {
    for (const [command = '', ...options] of [['ls'], ['verify'], ['verify', '--deep']]) {
      const said = async (place: string) => {
        const { said } = await weir(command, place, ...options, '--json')
        return { ...(JSON.parse(said) as object), archive: undefined }
      }
      const expected = await said('files')
      expect(expected).toMatchObject({ partitions: [{ files: 3, records: 1_600 }] })
      expect(await said(where)).toEqual(expected)
      expect(await said('events')).toEqual(expected)
    }
    const cat = async (...argv: string[]) => (await weir('cat', ...argv)).said
    for (const name of names) expect(await cat(name)).toBe(await cat(join('files', name)))
    expect(await cat('orders-0@1234', where)).toBe(await cat('orders-0@1234', 'files'))
  })

  test('is missing between two files what is missing, and fails', async () => {
    const { code, said } = await weir('verify', where)
    expect(code).toBe(1)
    expect(said).toContain(`missing: offsets 1500 to 1599 are in no file, between ${names[1]} and ${names[2]}`)
  })
})

test.skipIf(missing !== undefined)('a store that refuses is told with what to do, and not waited for', async () => {
  const server = await BlobServer.s3(s3Account)
  try {
    vi.stubEnv('AWS_ACCESS_KEY_ID', s3Account.accessKeyId)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another')
    const { code, said } = await weirIn('.', ['archive', 'ls', `s3://archive?endpoint=${server.url}&region=us-east-1`])
    expect(code).toBe(1)
    expect(said).toMatch(/^error listing s3:\/\/archive\/: 403 SignatureDoesNotMatch.* Check the key and its secret/)
  } finally {
    vi.unstubAllEnvs()
    await server.close()
  }
})
