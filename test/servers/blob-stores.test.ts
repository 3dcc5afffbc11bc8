import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { BlobServiceClient } from '@azure/storage-blob'
import { describe } from 'vitest'
import { silentLogger } from '../../src/model/index.js'
import type { BlobStore } from '../../src/sinks/archive/blob-store.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { done, type StoreUnderTest, storeContract } from '../contracts/blob-stores.contract.js'
import { hastyClock } from '../support/hasty-clock.js'
import { azureAccount, BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'

const missing = await missingBlobServers()

export const clock = hastyClock(20)
const mebibyte = 1_024 * 1_024

const open = (options: object) => openStore(storeOptions.parse(options), { clock, log: silentLogger })

storeContract(
  'files',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-blobs-'))
    return keeping({
      partBytes: mebibyte,
      open: (place) => open({ backend: 'file', path: join(folder, place) }),
      close: async () => rmSync(folder, { recursive: true }),
    })
  },
  10_000,
)

describe.skipIf(missing !== undefined)(`real stores${missing === undefined ? '' : ` (${missing})`}`, () => {
  storeContract(
    'S3',
    async () => {
      const server = await BlobServer.s3(s3Account)
      return keeping({
        partBytes: 8 * mebibyte,
        open: (prefix) => open({ backend: 's3', ...s3Account, region: 'us-east-1', endpoint: server.url, prefix }),
        close: () => server.close(),
      })
    },
    installMs,
  )

  storeContract(
    'Azure',
    async () => {
      const server = await BlobServer.azure()
      const { name, key } = azureAccount
      const connectionString = `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=${server.url}/${name};`
      await BlobServiceClient.fromConnectionString(connectionString).getContainerClient('archive').create()
      return keeping({
        partBytes: 8 * mebibyte,
        open: (prefix) => open({ backend: 'azure', container: 'archive', connectionString, prefix }),
        close: () => server.close(),
      })
    },
    installMs,
  )

  storeContract(
    'Google Cloud Storage',
    async () => {
      const server = await BlobServer.gcs()
      await fetch(`${server.url}/storage/v1/b`, { method: 'POST', body: '{"name":"archive"}' })
      return keeping({
        partBytes: 8 * mebibyte,
        open: (prefix) => open({ backend: 'gcs', bucket: 'archive', endpoint: server.url, prefix }),
        close: () => server.close(),
      })
    },
    installMs,
  )
})

interface Parts {
  readonly partBytes: number
  open(place: string): BlobStore
  close(): Promise<void>
}

/** Goes to another place with each test, and closes what was opened. */
function keeping({ partBytes, open, close }: Parts): StoreUnderTest {
  let tests = 0
  let opened: BlobStore | undefined
  const release = async () => {
    const store = opened
    opened = undefined
    if (store !== undefined) await done(store.close())
  }
  return {
    partBytes,
    open: () => (opened ??= open(`test-${tests}`)),
    reset: async () => {
      await release()
      tests++
    },
    close: async () => {
      await release()
      await close()
    },
  }
}
