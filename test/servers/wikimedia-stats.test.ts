import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { until, Worker } from '../support/job.js'
import { countOf, type Event, type Shown } from '../support/wikimedia-truth.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { freePort } from './server-support.js'

const capture = new URL('../../../shared/data/wikimedia/recentchange-2026-05-05.ndjson.gz', import.meta.url)
const missing = requireKafka() ?? missingPostgres() ?? (existsSync(capture) ? undefined : 'there is no capture')

describe.skipIf(missing !== undefined)(`wikimedia-stats (${missing ?? 'real servers'})`, { timeout: 180_000 }, () => {
  let kafka: KafkaCluster
  let postgres: PostgresServer
  let lines: readonly string[]
  const workers: Worker[] = []

  beforeAll(async () => {
    lines = gunzipSync(readFileSync(capture)).toString().trim().split('\n')
    ;[kafka, postgres] = await Promise.all([KafkaCluster.start(), PostgresServer.start()])
  }, 120_000)
  afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.kill())))
  afterAll(() => Promise.all([kafka?.close(), postgres?.close()]))

  async function replica(name: string, environment: Readonly<Record<string, string>>): Promise<Worker> {
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
    workers.push(worker)
    await worker.ready()
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
    await until(async () => totalOf(await statsOf(worker)) >= total, what, 60_000).catch(async (error: unknown) => {
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

  const storages: [name: string, environment: () => Readonly<Record<string, string>>][] = [
    ['memory', () => ({})],
    ['postgres', () => ({ DATABASE_URL: postgres.url })],
  ]

  test.each(storages)(
    'counts each event once in %s, whatever is killed, in three replicas and in one',
    async (storage, environment) => {
      const name = fresh('stats')
      const settings = { STORAGE: storage, ...environment() }
      await send(name, lines.slice(0, 1_000))
      const all = await Promise.all([1, 2, 3].map(() => replica(name, settings)))
      const [one, two, three] = all as [Worker, Worker, Worker]
      // Each of them answers for all.
      for (const worker of all) await reaches(worker, 1_000)
      await one.kill()
      await send(name, lines.slice(1_000))
      one.start()
      await until(async () => totalOf(await statsOf(two)) > 1_000, 'the others go on')
      await two.kill()
      for (const worker of [one, three]) await expectExact(worker)
      await Promise.all([one.kill(), three.kill()])
      two.start()
      await expectExact(two)
    },
  )
})
