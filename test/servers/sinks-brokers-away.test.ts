import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { compile, type Flow } from '../../src/engine/index.js'
import { archive, cloudEvents, flow, generate, json, kafka, mysql, view } from '../../src/index.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { ailments } from '../../src/worker/health.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'
import { DuckDb } from '../support/duckdb.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer, valuesOf } from './kafka-support.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

const checked = z.looseObject({ data: z.object({ number: z.number().refine((number) => number % 10 !== 0) }) })
interface Event {
  readonly data: { readonly number: number }
}

const brokers = 3
const missing = requireKafka() ?? missingMariadb()
const patience = { timeout: 90_000, interval: 500 }
const exactly = { checkpoints: 'kafka', guarantee: 'exactly-once' } as const
/** A fault of the system that was taken for one of the records would end a flow at once. */
const once = { attempts: 1 } as const
const awayMs = 15_000
const numberIn = (text: string) => (JSON.parse(text) as Event).data.number
const ascending = (numbers: readonly number[]) => [...numbers].sort((one, other) => one - other)

describe.skipIf(missing !== undefined)('while two of three brokers are away', { timeout: 240_000 }, () => {
  const shared = sharedServer(() => KafkaCluster.start({ brokers }))

  test('no flow ends, health says since when and why, and nothing is lost or there twice', async () => {
    const [maria, duckdb] = await Promise.all([MariadbServer.start(), DuckDb.start()])
    const folder = mkdtempSync(join(tmpdir(), 'weir-away-'))
    const http = new WorkerHttpServer(silentLogger)
    const { port } = await http.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(async () => {
      await Promise.all([maria.close(), http.close()])
      duckdb.close()
      rmSync(folder, { recursive: true })
    })
    await maria.query('CREATE TABLE numbers (number INT)')
    const connections = { kafka: kafka({ brokers: shared.server.bootstrap }), mysql: mysql({ url: maria.url }) }
    const running = (flows: Readonly<Record<string, Flow>>) => {
      const topology = compile({ app: fresh('app'), connections, flows }, { environment: {} })
      return runningEngine(topology, onTestFinished, { http, dataDirectory: folder }).engine
    }

    const strict = { config: { 'min.insync.replicas': String(brokers) } }
    const [source, plain, exact, taken, letters] = (await Promise.all(
      ['source', 'plain', 'exact', 'taken', 'letters'].map((what) => makeTopic(shared.connection, fresh(what), strict)),
    )) as [string, string, string, string, string]
    const read = () => kafka.source({ topic: source, from: 'earliest' })
    const event = (_random: unknown, number: number) => {
      return { specversion: '1.0', id: String(number), source: '/test', type: 'made', data: { number } }
    }
    const made = flow(generate({ rate: 200, value: event }), kafka.sink({ topic: source, deliveryTimeout: '3s' }))
    const maker = running({ made: made.with({ ...exactly, ...once }) })
    const number = ({ data }: Event) => data.number
    const readers = running({
      plain: flow(read(), kafka.sink({ topic: plain, deliveryTimeout: '3s' })).with(once),
      exact: flow(read(), kafka.sink({ topic: exact })).with({ ...exactly, ...once }),
      taken: flow(read(), json(checked), kafka.sink({ topic: taken })).with({
        ...exactly,
        ...once,
        deadLetters: letters,
      }),
      rows: flow(
        read(),
        json<Event>(),
        mysql.sink({ table: 'numbers', row: (event) => ({ number: number(event) }) }),
      ).with({ checkpoints: 'mysql', ...once }),
      view: flow(
        read(),
        json<Event>(),
        view({
          path: '/numbers',
          entries: (event) => ({ table: 'seen', key: String(number(event)), value: number(event) }),
        }),
      ).with({ checkpoints: 'kafka', ...once }),
      archive: flow(
        read(),
        cloudEvents.decode({ data: 'raw' }),
        archive.sink({ store: { backend: 'file', path: join(folder, 'files') }, every: '2s', time: 'arrival' }),
      ).with({ checkpoints: 'kafka', ...once }),
    })
    const statuses = () => [...maker.status(), ...readers.status()]
    const ends = new Set<string>()
    const watching = setInterval(() => {
      for (const { flow, state, error } of statuses()) if (state === 'failed') ends.add(`${flow}: ${error?.message}`)
    }, 200)
    onTestFinished(() => clearInterval(watching))

    const files = `read_parquet('${join(folder, 'files')}/**/*.parquet')`
    const of = async (topic: string) => (await valuesOf(shared.connection, topic)).map(numberIn)
    const kept: Readonly<Record<string, () => Promise<readonly number[]>>> = {
      plain: async () => [...new Set(await of(plain))],
      exact: () => of(exact),
      taken: async () => [...(await of(taken)), ...new Set(await of(letters))],
      rows: async () =>
        (await maria.query<{ number: number }>('SELECT number FROM numbers')).map(({ number }) => number),
      view: async () => {
        const shown = (await (await fetch(`http://127.0.0.1:${port}/numbers`)).json()) as { seen?: object }
        return Object.keys(shown.seen ?? {}).map(Number)
      },
      archive: async () => (await duckdb.query<{ id: string }>(`SELECT id FROM ${files}`)).map(({ id }) => Number(id)),
    }
    const counts = async () => {
      const counted = ([name, numbers]: [string, () => Promise<readonly number[]>]) =>
        numbers().then(
          ({ length }) => [name, length] as const,
          () => [name, 0] as const,
        )
      return Object.fromEntries(await Promise.all(Object.entries(kept).map(counted)))
    }
    const error = () => maker.status()[0]?.error
    await expect.poll(async () => Math.min(...Object.values(await counts())), patience).toBeGreaterThan(300)

    let restarted: Promise<unknown> | undefined
    const restart = () => (restarted ??= Promise.all([1, 2].map((broker) => shared.server.restart(broker))))
    onTestFinished(async () => void (await restart()))
    await shared.server.kill(1)
    await expect.poll(() => error()?.message, patience).toMatch(/in sync are .*2 of 3 replicas|has not ended/)
    await shared.server.kill(2)
    const health = () => ailments(maker.status(), { now: systemClock.scheduler.now(), stuckAfterMs: awayMs })
    await expect
      .poll(() => health()[0]?.reason, patience)
      .toMatch(/^what it has read has failed for (1[5-9]|[2-9]\d) s: \w+/)
    expect(error()).toMatchObject({ culprit: 'system' })
    await restart()
    await expect.poll(error, patience).toBeUndefined()
    maker.stop()
    await expect.poll(() => maker.status()[0]?.state, patience).toBe('stopped')

    const values = await of(source)
    const all = values.map((_, index) => index)
    expect(values).toEqual(all)
    await expect.poll(counts, patience).toEqual(Object.fromEntries(Object.keys(kept).map((name) => [name, all.length])))
    for (const [name, numbers] of Object.entries(kept)) expect([name, ascending(await numbers())]).toEqual([name, all])
    expect(await of(exact)).toEqual(all)
    const said = () => readers.status().flatMap(({ error, trouble }) => error ?? trouble ?? [])
    await expect.poll(said, patience).toEqual([])
    expect([...ends]).toEqual([])
  })
})
