import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { lastValueFrom } from 'rxjs'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'

const nothing = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'

afterEach(() => vi.unstubAllEnvs())

test.each([
  ['that is given', { region: 'sa-east-1' }, 'eu-west-1', 'sa-east-1'],
  ['that the SDK finds', {}, 'eu-west-1', 'eu-west-1'],
  ['of the first days, where there is no other', {}, undefined, 'us-east-1'],
])('S3 is asked in the region %s', async (_, options, found, expected) => {
  for (const [name, value] of Object.entries({
    AWS_REGION: found,
    AWS_PROFILE: undefined,
    AWS_CONFIG_FILE: '/no/such/file',
  }))
    vi.stubEnv(name, value)
  const signatures: unknown[] = []
  const server = createServer(({ headers }, response) => {
    signatures.push(headers.authorization)
    response.end(nothing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const login = { accessKeyId: 'a', secretAccessKey: 'b' }
  const parsed = storeOptions.parse({
    backend: 's3',
    bucket: 'b',
    endpoint: `http://127.0.0.1:${port}`,
    ...login,
    ...options,
  })
  const store = openStore(parsed, { clock: systemClock, log: silentLogger, patienceMs: 0 })
  onTestFinished(async () => {
    await lastValueFrom(store.close(), { defaultValue: undefined })
    server.closeAllConnections()
    server.close()
  })
  await lastValueFrom(store.list(''), { defaultValue: undefined })
  expect(signatures).toEqual([expect.stringContaining(`/${expected}/s3/`)])
})
