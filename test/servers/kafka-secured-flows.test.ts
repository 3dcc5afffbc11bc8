import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { flow, kafka as kafkaOf } from '../../src/index.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { describeError } from '../../src/model/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { DuckDb } from '../support/duckdb.js'
import { until, Worker } from '../support/job.js'
import { runningEngine } from '../support/running-engine.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, makeTopic, writeTo } from './kafka-support.js'
import { freePort } from './server-support.js'

const password = 'correct, horse="battery" staple'

/** The archive alone, as the shipped configuration has it: commands ask the stores of all flows. */
const config = `
import { archive, cloudEvents, defineConfig, env, flow, kafka, secret } from 'weirflow'
export default defineConfig({
  connections: {
    kafka: kafka({
      brokers: env('KAFKA_BROKERS'),
      sasl: {
        mechanism: env('KAFKA_SASL_MECHANISM').oneOf('SCRAM-SHA-512'),
        username: env('KAFKA_SASL_USERNAME'),
        password: secret('KAFKA_SASL_PASSWORD'),
      },
      ssl: { caFile: env('KAFKA_SSL_CA_LOCATION') },
    }),
  },
  flows: {
    'event-archive': flow(
      kafka.source({ topic: env('ARCHIVE_TOPICS') }),
      cloudEvents.decode({ data: 'raw' }),
      archive.sink({ store: { backend: 'file', path: env('ARCHIVE_PATH') } }),
    ).with({ checkpoints: 'kafka' }),
  },
})`

describe.skipIf(requireKafka() !== undefined)('on a secured Kafka', () => {
  const authority = new Authority()
  let folder: string
  let kafka: KafkaCluster
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-secured-'))
    put('ca.pem', authority.cert)
    put('clients.pem', authority.cert)
    put('password', `${password}\n`)
    put('flows.config.ts', config)
    const tls = authority.issue()
    kafka = await KafkaCluster.start({
      listeners: { login: { tls, logins: ['SCRAM-SHA-512'] }, mutual: { tls, clients: at('clients.pem') } },
      users: { weir: password },
    })
  })
  afterAll(async () => {
    await kafka?.close()
    rmSync(folder, { recursive: true })
  })

  const at = (name: string) => join(folder, name)
  const put = (name: string, text: string) => writeFileSync(at(name), text)
  const show = ({ cert, key }: Certificate) => {
    put('client.pem', cert)
    put('client.key', key)
  }

  /** The archive system with a topic of its own, on the listener with a login. */
  async function archive(more: Readonly<Record<string, string>> = {}) {
    const name = fresh('archive')
    const files = at(name)
    mkdirSync(files)
    const environment = {
      KAFKA_BROKERS: kafka.at('login'),
      KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'weir',
      KAFKA_SASL_PASSWORD_FILE: at('password'),
      KAFKA_SSL_CA_LOCATION: at('ca.pem'),
      WEIR_APP: name,
      ARCHIVE_TOPICS: name,
      ARCHIVE_GROUP_ID: name,
      ARCHIVE_PATH: files,
      ARCHIVE_RATE: '300',
      ARCHIVE_LIMIT: '1500',
      ARCHIVE_MAX_RECORDS: '100',
      ARCHIVE_EVERY_SEC: '1',
      SERVER_PORT: String(await freePort()),
      ...more,
    }
    const worker = new Worker(environment, ['archive-generator', 'event-archive'])
    onTestFinished(() => worker.kill())
    worker.start()
    return { name, files, environment, worker }
  }

  test('an archive has each event in one file, though its worker is killed, and commands find its positions', async () => {
    const duckdb = await DuckDb.start()
    onTestFinished(() => duckdb.close())
    const { name, files, environment, worker } = await archive()
    const written = () =>
      readdirSync(files, { recursive: true, encoding: 'utf8' }).filter((one) => one.endsWith('.parquet'))
    await until(() => written().length > 2, 'some files are there', 90_000)
    await worker.kill()
    worker.start()
    const counted = async () => {
      const [row = {}] = await duckdb.query<Record<string, number>>(`
        select count(*)::int as rows, count(distinct id)::int as ids,
          count(distinct (kafka_partition, kafka_offset))::int as places, max(kafka_offset)::int as last
        from '${files}/**/*.parquet'`)
      return row
    }
    await until(async () => (await counted())['ids'] === 1_500, 'all events are there', 90_000)
    const { rows, places } = await counted()
    expect(rows).toBe(places)
    expect(await worker.stop()).toBe(0)
    for (const command of ['state', 'plan']) {
      const { code, said } = await weirIn(folder, [command], environment)
      expect([command, code, said]).toEqual([command, 0, expect.stringContaining('event-archive')])
    }
    const { said } = await weirIn(folder, ['state', '--json'], environment)
    expect(said).toContain(`"topic": "${name}"`)
  })

  test('a worker with a wrong password is not ready, says why, tries on, and shows the password nowhere', async () => {
    const wrong = 'wr0ng-pa55word'
    const { worker, environment } = await archive({ KAFKA_SASL_PASSWORD: wrong })
    const said = () => JSON.stringify(worker.log)
    await until(() => said().split('refused the login').length > 3, 'it has tried more than once')
    const [ready, health] = [await worker.get('/ready'), await worker.get('/health')]
    expect(ready.status).toBe(503)
    expect(said()).toContain(`broker ${kafka.at('login')} refused the login`)
    expect(said()).toContain("Check mechanism, username and password of the connection's sasl option.")
    expect(worker.isRunning).toBe(true)
    for (const text of [said(), ready.text, health.text, (await worker.get('/metrics')).text])
      expect(text).not.toContain(wrong)
    const { code, said: told } = await weirIn(folder, ['state'], environment)
    expect([code, told]).toEqual([1, expect.stringMatching(/refused the login/)])
    expect(told).not.toContain(wrong)
  })

  test('a certificate that is no longer taken is told, and the flow goes on with the one that is put in its place', async () => {
    const [source, target] = [fresh('source'), fresh('target')]
    const plain = connect(kafka.bootstrap)
    onTestFinished(() => plain.close())
    for (const topic of [source, target]) await makeTopic(plain, topic)
    show(authority.issue({ name: 'first' }))
    const connections = {
      kafka: kafkaOf({
        brokers: kafka.at('mutual'),
        ssl: { caFile: at('ca.pem'), certFile: at('client.pem'), keyFile: at('client.key') },
      }),
    }
    const copied = flow(kafkaOf.source({ topic: source, from: 'earliest' }), kafkaOf.sink({ topic: target }))
    const flows = { copied: copied.with({ guarantee: 'exactly-once', checkpoints: 'kafka' }) }
    const { engine } = runningEngine(compile({ app: fresh('app'), connections, flows }, { environment: {} }))
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => String(from + index))
    const arrived = async (count: number) => {
      await vi.waitFor(
        async () => expect((await readAll(plain.address, target)).length).toBeGreaterThanOrEqual(count),
        {
          timeout: 60_000,
          interval: 500,
        },
      )
      return readAll(plain.address, target)
    }
    await writeTo(plain, source, numbers(0, 100))
    expect(await arrived(100)).toEqual(numbers(0, 100))

    const next = new Authority('next')
    put('clients.pem', next.cert)
    await kafka.stop(0)
    await kafka.restart(0)
    await writeTo(plain, source, numbers(100, 200))
    const told = () => {
      const [{ error, trouble } = {}] = engine.status()
      return [error, trouble].map((one) => (one === undefined ? '' : describeError(one))).join('\n')
    }
    await until(() => /certificate of this client, 'CN=first'/.test(told()), 'it is told')
    show(next.issue({ name: 'second' }))
    expect(await arrived(200)).toEqual(numbers(0, 200))
    await until(() => engine.status()[0]?.state === 'running' && told() === '\n', 'it is well')
  })
})

async function readAll(brokers: string, topic: string): Promise<string[]> {
  const reader = new LogReader({ 'metadata.broker.list': brokers })
  try {
    await reader.connect()
    reader.assign([{ topic, partition: 0, offset: 0 }])
    const values: string[] = []
    await reader.read(
      ({ value }) => values.push(String(value)),
      () => reader.hasEnded({ topic, partition: 0 }),
    )
    return values
  } finally {
    await reader.close()
  }
}
