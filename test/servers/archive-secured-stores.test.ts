import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openParquet } from '../../src/codecs/parquet/parquet-file.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { done, names, read } from '../contracts/blob-stores.contract.js'
import { Authority } from '../support/certificates.js'
import { until, Worker } from '../support/job.js'
import { weirIn } from '../support/weir.js'
import { BlobServer, installMs, missingBlobServers, s3Account } from './blob-servers.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh } from './kafka-support.js'
import { freePort } from './server-support.js'

const missing = (await missingBlobServers()) ?? requireKafka()
const because = missing === undefined ? '' : ` (${missing})`

const root = fileURLToPath(new URL('../..', import.meta.url))
const [password, renewed] = ['first-pa55word', 'second-pa55word']
const events = 2_000

describe.skipIf(missing !== undefined)(`an archive that YAML configures, of a secured Kafka${because}`, () => {
  const authority = new Authority()
  let folder: string
  let kafka: KafkaCluster
  let server: BlobServer | undefined
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-archive-secured-'))
    writeFileSync(join(folder, 'ca.pem'), authority.cert)
    kafka = await KafkaCluster.start({
      listeners: { login: { tls: authority.issue(), logins: ['SCRAM-SHA-512'], loginMs: 2_000 } },
      users: { weir: password },
    })
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await server?.close()
    server = undefined
  })
  afterAll(async () => {
    await kafka?.close()
    rmSync(folder, { recursive: true })
  })

  /** The archive system with a file of settings of its own; `storage` is what that has below it. */
  async function archive(storage: string, variables: Readonly<Record<string, string>>, options: object) {
    const name = fresh('archive')
    const file = join(folder, `${name}.yaml`)
    const configure = (storage: string) =>
      writeFileSync(
        file,
        `kafka:
  bootstrap_servers: \${BROKERS}
  security_protocol: SASL_SSL
  sasl_mechanism: SCRAM-SHA-512
  sasl_username: weir
  sasl_password: \${LOGIN}
  ssl_ca_location: ${join(folder, 'ca.pem')}
  consumer: { group_id: ${name}.group, topics: [${name}] }
storage:
  base_path: kept/${name}
${storage.replaceAll(/^/gm, '  ')}
file_rotation: { max_records_per_file: 100, max_duration_seconds: 1 }
`,
      )
    configure(storage)
    const environment = {
      ARCHIVE_CONFIG: file,
      BROKERS: kafka.at('login'),
      LOGIN: password,
      WEIR_APP: name,
      ARCHIVE_RATE: '400',
      ARCHIVE_LIMIT: String(events),
      SERVER_PORT: String(await freePort()),
      ...variables,
    }
    let worker: Worker
    const begin = (more: Readonly<Record<string, string>> = {}) => {
      worker = new Worker({ ...environment, ...more }, ['archive-generator', 'event-archive'])
      onTestFinished(() => worker.kill())
      worker.start()
      return worker
    }
    const stored = new Map<string, readonly [id: string, place: string][]>()
    /** What is in all files: rows, events, and places in the topic. */
    const counted = async (more = options) => {
      const parsed = storeOptions.parse({ ...more, prefix: `kept/${name}` })
      const store = openStore(parsed, { clock: systemClock, log: silentLogger, patienceMs: 10_000 })
      for (const each of await names(store)) {
        if (stored.has(each)) continue
        const bytes = await read(store, each)
        const range = (from: number, to: number) => Promise.resolve(bytes.subarray(from, to))
        const rows: [string, string][] = []
        for await (const some of (await openParquet(each, { size: bytes.length, read: range })).rows())
          rows.push(...some.map(({ id, partition, offset }) => [id, `${partition}@${offset}`] as [string, string]))
        stored.set(each, rows)
      }
      await done(store.close())
      const all = [...stored.values()].flat()
      return {
        rows: all.length,
        ids: new Set(all.map(([id]) => id)).size,
        places: new Set(all.map(([, at]) => at)).size,
      }
    }
    /** Waits for all events, and looks for any that is in two files. */
    const complete = async (more = options) => {
      await until(async () => (await counted(more)).ids === events, 'all events are there', 180_000)
      const { rows, places } = await counted(more)
      expect(rows).toBe(places)
    }
    /** Waits until the flow is in trouble of that kind: in health, and not ready. */
    const troubled = async (why: RegExp) => {
      const isTold = async () => {
        const { status, text } = await worker.get('/ready')
        return status === 503 && why.test(text)
      }
      await until(isTold, `it says ${String(why)}`)
      expect((await worker.get('/health')).status).toBe(200)
    }
    const verify = (more: Readonly<Record<string, string>> = {}) =>
      weirIn(root, ['archive', 'verify', 'event-archive', '--gaps', '1'], { ...environment, ...more })
    return { begin, counted, complete, troubled, verify }
  }

  test(
    'in S3, whose keys are renewed in the file where the SDK has found them',
    async () => {
      server = await BlobServer.s3(s3Account)
      const { accessKeyId, secretAccessKey, bucket } = s3Account
      const keys = join(folder, 'keys')
      const keep = (secret: string) =>
        writeFileSync(keys, `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secret}\n`)
      keep(secretAccessKey)
      const variables = { AWS_SHARED_CREDENTIALS_FILE: keys, AWS_CONFIG_FILE: join(folder, 'none') }
      const storage = `backend: s3\ns3: { bucket: ${bucket}, region: us-east-1, endpoint: "${server.url}" }`
      const options = { backend: 's3', ...s3Account, region: 'us-east-1', endpoint: server.url }
      const { begin, counted, complete, troubled, verify } = await archive(storage, variables, options)
      const worker = begin()
      await until(async () => (await counted()).rows > 100, 'some files are there')
      await worker.kill()
      worker.start()
      const next = 'another-secret-of-tests'
      await server.renew(secretAccessKey, next)
      await troubled(/SignatureDoesNotMatch.*Check the key and its secret/)
      keep(next)
      await complete({ ...options, secretAccessKey: next })
      for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
      expect(await verify()).toMatchObject({ code: 0 })
      expect(JSON.stringify(worker.log)).not.toContain(secretAccessKey)
    },
    installMs,
  )

  test(
    'in Google Cloud Storage, while the password of Kafka is renewed, and the worker started with it',
    async () => {
      server = await BlobServer.gcs()
      await fetch(`${server.url}/storage/v1/b`, { method: 'POST', body: JSON.stringify({ name: 'archive' }) })
      const storage = `backend: gcs\ngcs: { bucket: archive, endpoint: "${server.url}" }`
      const options = { backend: 'gcs', bucket: 'archive', endpoint: server.url }
      const { begin, counted, complete, troubled, verify } = await archive(storage, {}, options)
      const worker = begin()
      await until(async () => (await counted()).rows > 100, 'some files are there')
      await kafka.renew('weir', renewed)
      await troubled(/refused the login.*Check mechanism, username and password/)
      await worker.kill()
      const next = begin({ LOGIN: renewed })
      await complete()
      expect(await verify({ LOGIN: renewed })).toMatchObject({ code: 0 })
      for (const { log } of [worker, next])
        for (const secret of [password, renewed]) expect(JSON.stringify(log)).not.toContain(secret)
    },
    installMs,
  )
})
