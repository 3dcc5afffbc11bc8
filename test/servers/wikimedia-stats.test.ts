import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { until, Worker } from '../support/job.js'
import { ReplayServer } from '../support/replay-server.js'
import { captured } from '../support/wikimedia-captures.js'
import { countOf, type Event, type Shown } from '../support/wikimedia-truth.js'
import { CassandraServer, missingCassandra } from './cassandra-server.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { freePort } from './server-support.js'

type Environment = Readonly<Record<string, string>>

/** A server that can be killed as a power cut would, and started again with what it has on disk. */
interface Mortal {
  kill(): Promise<void>
  start(): Promise<void>
}

/** Where a storage is, and what keeps it. */
interface Place {
  readonly environment: Environment
  readonly server?: Mortal
}

const capture = new URL('../../../shared/data/wikimedia/recentchange-2026-05-05.ndjson.gz', import.meta.url)
const missing =
  requireKafka() ??
  missingPostgres() ??
  missingRedis() ??
  missingCassandra() ??
  (existsSync(capture) ? undefined : 'there is no capture')

describe.skipIf(missing !== undefined)(`wikimedia-stats (${missing ?? 'real servers'})`, () => {
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
  })
  afterAll(() => Promise.all(servers.map((server) => server.close())))

  /** A worker of a flow; it ends with the test. */
  async function started(
    flow: string,
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
      [flow],
    )
    worker.start()
    onEnd(() => worker.kill())
    await worker.ready(120_000)
    return worker
  }

  const replica = (name: string, environment: Environment, onEnd: TestContext['onTestFinished']) =>
    started('wikimedia-stats', name, environment, onEnd)

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

  async function expectExact(worker: Worker, all = lines): Promise<void> {
    await reaches(worker, all.length)
    expect(await statsOf(worker)).toEqual(countOf(all))
    expect(await statsOf(worker, '?bots=0')).toEqual(countOf(all, { takes: ({ bot }) => bot !== true }))
  }

  /** Starts what a storage needs; emits where it is. */
  const storages: Readonly<Record<string, () => Promise<Place>>> = {
    memory: () => Promise.resolve({ environment: {} }),
    postgres: async () => {
      const server = kept(await PostgresServer.start())
      return { environment: { DATABASE_URL: server.url }, server }
    },
    redis: async () => {
      const server = kept(await RedisServer.start())
      return { environment: { REDIS_URL: server.url }, server }
    },
    cassandra: async () => {
      const server = kept(await CassandraServer.start())
      const { contactPoint, username, password } = server
      const environment = {
        CASSANDRA_CONTACT_POINTS: contactPoint,
        CASSANDRA_USERNAME: username,
        CASSANDRA_PASSWORD: password,
      }
      return { environment, server }
    },
  }

  /** Asks replicas for what they show, again and again until the test has ended. Returns what was not as it should be. */
  function watch(replicas: ReadonlyMap<string, readonly Worker[]>, onEnd: TestContext['onTestFinished']): string[] {
    const faults: string[] = []
    let isOver = false
    onEnd(() => {
      isOver = true
    })
    const look = async (name: string, worker: Worker) => {
      for (let shown = 0; !isOver; await sleep(250)) {
        const { status, text } = await worker.get('/stats')
        if (isOver) return
        const now = status === 200 ? totalOf(JSON.parse(text) as Shown) : undefined
        if (now === undefined) faults.push(`${name}: ${status} ${text}`)
        else if (now < shown) faults.push(`${name}: ${now} after ${shown}`)
        shown = now ?? shown
      }
    }
    for (const [storage, workers] of replicas)
      for (const [index, worker] of workers.entries()) void look(`${storage} ${index}`, worker)
    return faults
  }

  // Two at once, for most of the time a group waits for those that were killed.
  describe.each([[['memory', 'postgres']], [['redis', 'cassandra']]])('in %s', (pair) => {
    const places = new Map<string, Place>()
    beforeAll(async () => {
      for (const storage of pair) places.set(storage, await (storages[storage] as () => Promise<Place>)())
    })

    test.concurrent.for(pair)('%s: each event counts once, whoever is killed', async (storage, context) => {
      const name = fresh('stats')
      const environment = { STORAGE: storage, ...places.get(storage)?.environment }
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

    test('each event counts once, and what is committed is shown, while one server after the other is killed', async ({
      onTestFinished,
    }) => {
      const events = captured('recentchange-2026-05-05.recv.ndjson.gz')
      const changes = events
        .map(({ data }) => data)
        .filter((data) => (JSON.parse(data) as Event).meta.domain !== 'canary')
      const server = await ReplayServer.start({
        events,
        faults: { drop: 4 / events.length, repeat: 0.05, delay: 0.05 },
        speed: (events.at(-1)?.atMs ?? 0) / 12_000,
      })
      onTestFinished(() => server.close())
      const name = fresh('stats')
      const topic = { WIKIPEDIA_TOPIC: `${name}.changes` }
      const start = (storage: string) => {
        const environment = { STORAGE: storage, ...topic, ...places.get(storage)?.environment }
        return replica(`${name}.${storage}`, environment, onTestFinished)
      }
      const [shared, single] = pair as [string, string]
      const [one, two, three, alone] = await Promise.all([start(shared), start(shared), start(shared), start(single)])
      const all = [one, two, three, alone]
      const replicas = new Map([[shared, [one, two, three]], [single, [alone]]]) // biome-ignore format: pairs
      await started('wikimedia-ingest', name, { ...topic, WIKIPEDIA_STREAM_URL: server.url }, onTestFinished)
      for (const worker of all) await reaches(worker, 1)
      const faults = watch(replicas, onTestFinished)
      const mortals = [
        { kill: () => kafka.kill(0), start: () => kafka.restart(0) },
        ...pair.flatMap((storage) => places.get(storage)?.server ?? []),
      ]
      for (const [index, mortal] of mortals.entries()) {
        for (const worker of all) await reaches(worker, (changes.length * (index + 1)) / (mortals.length + 2))
        await mortal.kill()
        await sleep(2_000)
        await mortal.start()
      }
      for (const worker of all) await expectExact(worker, changes)
      expect(faults).toEqual([])
    })
  })
})
