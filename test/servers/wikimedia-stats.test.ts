import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { until, Worker } from '../support/job.js'
import { countOf, type Event, type Shown } from '../support/wikimedia-truth.js'
import { CassandraServer, missingCassandra } from './cassandra-server.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { freePort } from './server-support.js'

type Environment = Readonly<Record<string, string>>

const capture = new URL('../../../shared/data/wikimedia/recentchange-2026-05-05.ndjson.gz', import.meta.url)
const missing =
  requireKafka() ??
  missingPostgres() ??
  missingRedis() ??
  missingCassandra() ??
  (existsSync(capture) ? undefined : 'there is no capture')

describe.skipIf(missing !== undefined)(`wikimedia-stats (${missing ?? 'real servers'})`, { timeout: 300_000 }, () => {
  let kafka: KafkaCluster
  let lines: readonly string[]
  const servers: { close(): Promise<void> }[] = []
  const kept = <S extends { close(): Promise<void> }>(server: S): S => {
    servers.push(server)
    return server
  }

  beforeAll(async () => {
    lines = gunzipSync(readFileSync(capture)).toString().trim().split('\n')
    kafka = kept(await KafkaCluster.start())
  }, 120_000)
  afterAll(() => Promise.all(servers.map((server) => server.close())))

  /** A worker that takes records; it ends with the test. */
  async function replica(
    name: string,
    environment: Environment,
    onEnd: TestContext['onTestFinished'],
  ): Promise<Worker> {
    const worker = new Worker(
      {
        KAFKA_BROKERS: kafka.bootstrap,
        WEIR_APP: name,
        WIKIPEDIA_TOPIC: `${name}.changes`,
        WIKIPEDIA_GROUP_ID: `${name}.group`,
        SERVER_PORT: String(await freePort()),
        ...environment,
      },
      ['wikimedia-stats'],
    )
    worker.start()
    onEnd(() => worker.kill())
    await worker.ready(120_000)
    return worker
  }

  /** Writes events as the ingest does, keyed by domain. */
  async function send(name: string, some: readonly string[]): Promise<void> {
    const connection = connect(kafka.bootstrap)
    const sink = sinkOf(connection, { topic: `${name}.changes`, partitions: 3 })
    await openSink(sink)
    await writeAll(
      sink,
      some.map((line) => recordOf(Buffer.from(line), (JSON.parse(line) as Event).meta.domain)),
    )
    await connection.close()
  }

  async function statsOf(worker: Worker, search = ''): Promise<Shown | undefined> {
    const { status, text } = await worker.get(`/stats${search}`)
    return status === 200 ? (JSON.parse(text) as Shown) : undefined
  }

  const totalOf = (shown: Shown | undefined) => Object.values(shown?.by_domain ?? {}).reduce((sum, one) => sum + one, 0)

  async function reaches(worker: Worker, total: number): Promise<void> {
    const what = `${total} events are shown`
    await until(async () => totalOf(await statsOf(worker)) >= total, what, 120_000).catch(async (error: unknown) => {
      const shown = totalOf(await statsOf(worker))
      throw new Error(
        `${String(error)}; ${shown} are\n${worker.log
          .slice(-30)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
      )
    })
  }

  async function expectExact(worker: Worker): Promise<void> {
    await reaches(worker, lines.length)
    expect(await statsOf(worker)).toEqual(countOf(lines))
    expect(await statsOf(worker, '?bots=0')).toEqual(countOf(lines, { takes: ({ bot }) => bot !== true }))
  }

  /** Starts what a storage needs; emits where it is. */
  const storages: Readonly<Record<string, () => Promise<Environment>>> = {
    memory: () => Promise.resolve({}),
    postgres: async () => ({ DATABASE_URL: kept(await PostgresServer.start()).url }),
    redis: async () => ({ REDIS_URL: kept(await RedisServer.start()).url }),
    cassandra: async () => {
      const { contactPoint, username, password } = kept(await CassandraServer.start())
      return {
        CASSANDRA_CONTACT_POINTS: contactPoint,
        CASSANDRA_USERNAME: username,
        CASSANDRA_PASSWORD: password,
      }
    },
  }

  // Two at once, for most of the time a group waits for those that were killed.
  describe.each([[['memory', 'postgres']], [['redis', 'cassandra']]])('in %s', (pair) => {
    const places = new Map<string, Environment>()
    beforeAll(async () => {
      for (const storage of pair) places.set(storage, (await storages[storage]?.()) ?? {})
    }, 300_000)

    test.concurrent.for(pair)('%s: each event counts once, whoever is killed', async (storage, context) => {
      const name = fresh('stats')
      const environment = { STORAGE: storage, ...places.get(storage) }
      await send(name, lines.slice(0, 1_000))
      const start = () => replica(name, environment, context.onTestFinished)
      const [one, two, three] = await Promise.all([start(), start(), start()])
      // Each of them answers for all.
      for (const worker of [one, two, three]) await reaches(worker, 1_000)
      await one.kill()
      await send(name, lines.slice(1_000))
      one.start()
      for (const worker of [one, two, three]) await expectExact(worker)
      // And one alone, with what it finds.
      await Promise.all([one, two, three].map((worker) => worker.kill()))
      two.start()
      await expectExact(two)
    })
  })
})
