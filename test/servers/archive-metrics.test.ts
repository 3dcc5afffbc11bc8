import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until, Worker } from '../support/job.js'
import { BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'
import { cutRequest, FaultProxy } from './fault-proxy.js'
import { freePort } from './server-support.js'

const missing = await missingBlobServers()

/** Events that are made here, by the embedded broker into an archive in S3. */
const config = (endpoint: string) => `
import { archive, cloudEvents, defineConfig, flow, generate, kafka } from 'weirflow'

const event = (_random: () => number, index: number) => {
  return { id: 'customer-' + index, source: '/test', type: 'made', subject: 'a/b', data: { index } }
}

export default defineConfig({
  app: 'metered',
  connections: { kafka: kafka({ brokers: 'embedded' }) },
  checkpoints: 'kafka',
  flows: {
    made: flow(generate({ value: event, rate: 100 }), cloudEvents.encode(), kafka.sink({ topic: 'events', partitions: 2 })),
    keep: flow(
      kafka.source({ topic: 'events', group: 'keep', partitions: 2, create: true }),
      cloudEvents.decode({ data: 'raw' }),
      archive.sink({
        every: '1s',
        store: {
          backend: 's3',
          bucket: '${s3Account.bucket}',
          endpoint: '${endpoint}',
          accessKeyId: '${s3Account.accessKeyId}',
          secretAccessKey: '${s3Account.secretAccessKey}',
        },
      }),
    ),
  },
})
`

describe.skipIf(missing !== undefined)(`what an archive tells (${missing ?? 'of a real store'})`, () => {
  test(
    'of itself in /health, /ready and /metrics, while its store is away and when it is back',
    async () => {
      const server = await BlobServer.s3(s3Account)
      const proxy = await FaultProxy.start(server.port)
      const folder = mkdtempSync(join(tmpdir(), 'weir-metered-'))
      const file = join(folder, 'flows.config.ts')
      writeFileSync(file, config(proxy.url))
      const worker = new Worker({ SERVER_PORT: String(await freePort()) }, ['--config', file])
      onTestFinished(async () => {
        await worker.kill()
        await proxy.close()
        await server.close()
        rmSync(folder, { recursive: true })
      })
      const told = (name: string, labels = {}) =>
        worker.metric(`weir_archive_${name}`, labels).then((value) => value ?? -1)
      const state = (name: string) => told('breaker_state', { store: 's3', state: name })

      worker.start()
      await worker.ready()
      await until(async () => (await told('files_total', { store: 's3' })) > 2, 'files are stored')
      await until(async () => (await told('records_total')) > 50, 'and some records')
      expect(await told('write_duration_seconds_count', { store: 's3' })).toBeGreaterThan(2)
      expect(await told('bytes_total')).toBeGreaterThan(5_000)
      expect(await told('encoding_seconds_total')).toBeGreaterThan(0)
      expect(await told('failures_total', { code: 'WEIR_BLOB_UNREACHABLE' })).toBe(0)
      expect(await told('unstored_age_seconds')).toBeLessThan(30)
      expect([await state('closed'), await state('open'), await state('half-open')]).toEqual([1, 0, 0])
      expect(await worker.metric('weir_records_in_total', { stage: 'archive' })).toBeGreaterThan(50)

      proxy.meet(cutRequest, Number.POSITIVE_INFINITY)
      await until(async () => (await state('closed')) === 0, 'the breaker is open')
      expect(await told('failures_total', { code: 'WEIR_BLOB_UNREACHABLE' })).toBeGreaterThan(4)
      expect((await worker.get('/health')).status).toBe(200)
      const notReady = await worker.get('/ready')
      expect(notReady.status).toBe(503)
      expect(JSON.parse(notReady.text)).toMatchObject({
        status: 'not ready',
        flows: [
          { flow: 'made', state: 'running' },
          {
            flow: 'keep',
            state: 'running',
            trouble: { code: 'WEIR_BLOB_UNREACHABLE', text: expect.stringContaining('s3://') },
          },
        ],
      })
      expect(await worker.metric('weir_flow_ready', { flow: 'keep' })).toBe(0)
      expect(await worker.metric('weir_flow_ready', { flow: 'made' })).toBe(1)
      const age = await told('unstored_age_seconds')
      await until(async () => (await told('unstored_age_seconds')) > age + 3, 'the oldest record grows older')
      expect(await told('buffer_bytes', { buffer: 'waiting' })).toBeGreaterThan(0)
      expect(await told('buffer_utilisation_ratio', { buffer: 'waiting' })).toBeGreaterThan(0)

      proxy.reset()
      const files = await told('files_total')
      await worker.ready()
      expect(await worker.metric('weir_flow_ready', { flow: 'keep' })).toBe(1)
      await until(async () => (await told('files_total')) > files + 1, 'files are stored again')
      await until(async () => (await told('unstored_age_seconds')) < age, 'nothing old waits')
      expect(await state('closed')).toBe(1)

      // Nothing that a record says, nor the name of a file, is a label.
      const { text } = await worker.get('/metrics')
      expect(text).not.toMatch(/customer-|dt=|parquet|a\/b/)
      expect(text.split('\n').filter((line) => line.startsWith('weir_archive_')).length).toBeLessThan(50)
      expect(await worker.stop()).toBe(0)
    },
    installMs,
  )
})
