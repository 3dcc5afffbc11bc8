import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tap } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { compile, type FlowStatus, type Observer } from '../../src/engine/index.js'
import {
  aggregate,
  count,
  eventTime,
  flow,
  json,
  kafka,
  map,
  mysql,
  postgres,
  recordKey,
  redis,
  tumbling,
} from '../../src/index.js'
import { defineSink, type Sink } from '../../src/model/index.js'
import { runningEngine } from '../support/running-engine.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh } from './kafka-support.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { TopicTools } from './topic-tools.js'

const missing = requireKafka()

interface Keeper {
  /** The connection that keeps positions, as a configuration has it. */
  readonly declared: string
  readonly connection: ReturnType<typeof postgres>
  /** A sink that joins the checkpoints, where there is one, and what it has written. */
  readonly lines?: { sink(): Sink<string>; read(): Promise<readonly string[]> }
  close(): Promise<unknown>
}

const row = (line: string) => ({ line })

async function postgresKeeper(): Promise<Keeper> {
  const server = await PostgresServer.start()
  await server.query('CREATE TABLE lines (line text)')
  return {
    declared: `postgres({ url: '${server.url}' })`,
    connection: postgres({ url: server.url }),
    lines: {
      sink: () => postgres.sink({ table: 'lines', row }),
      read: async () => (await server.query<{ line: string }>('SELECT line FROM lines')).map(({ line }) => line),
    },
    close: () => server.close(),
  }
}

async function mysqlKeeper(): Promise<Keeper> {
  const server = await MariadbServer.start()
  await server.query('CREATE TABLE `lines` (line text)')
  return {
    declared: `mysql({ url: '${server.url}' })`,
    connection: mysql({ url: server.url }),
    lines: {
      sink: () => mysql.sink({ table: 'lines', row }),
      read: async () => (await server.query<{ line: string }>('SELECT line FROM `lines`')).map(({ line }) => line),
    },
    close: () => server.close(),
  }
}

async function redisKeeper(): Promise<Keeper> {
  const server = await RedisServer.start()
  return {
    declared: `redis({ url: '${server.url}' })`,
    connection: redis({ url: server.url }),
    close: () => server.close(),
  }
}

interface Result {
  readonly value: number
  readonly window?: { readonly start: Date }
}

/** Positions that an operator sets, whatever keeps them, of flows that run and of others. */
describe.each([
  ['PostgreSQL', missingPostgres, postgresKeeper],
  ['MariaDB', missingMariadb, mysqlKeeper],
  ['Redis', missingRedis, redisKeeper],
  ['Kafka', requireKafka, undefined],
] as const)('positions in %s', (_, lacks, start) => {
  describe.skipIf(missing !== undefined || lacks() !== undefined)('', () => {
    let cluster: KafkaCluster
    let tools: TopicTools
    let keeper: Keeper | undefined

    beforeAll(async () => {
      cluster = await KafkaCluster.start()
      tools = await TopicTools.connect(cluster.bootstrap)
      keeper = await start?.()
    })

    afterAll(async () => {
      await tools?.close()
      await cluster?.close()
      await keeper?.close()
    })

    function run(app: string, declared: ReturnType<typeof counting>) {
      const connections = {
        kafka: kafka({ brokers: cluster.bootstrap, client: { 'session.timeout.ms': 6_000 } }),
        ...(keeper === undefined ? {} : { keeper: keeper.connection }),
      }
      const flows = {
        flow: declared.with({ checkpoints: keeper === undefined ? 'kafka' : 'keeper', epoch: { every: '100ms' } }),
      }
      const topology = compile({ app, connections, flows }, { environment: {} })
      const changes: string[] = []
      const observer: Observer = { topic: ({ change }) => void changes.push(change) }
      const { engine, running } = runningEngine(topology, onTestFinished, { observer })
      const stop = () => {
        engine.stop()
        return new Promise<void>((resolve) => running.add(resolve))
      }
      return { stop, changes, status: () => engine.status()[0] as FlowStatus }
    }

    /** What a command says of that flow. */
    async function weir(app: string, topic: string, ...argv: string[]) {
      const cwd = mkdtempSync(join(tmpdir(), 'weir-positions-'))
      onTestFinished(() => rmSync(cwd, { recursive: true }))
      const keeps = keeper === undefined ? '' : `keeper: ${keeper.declared},`
      writeFileSync(
        join(cwd, 'flows.config.ts'),
        `import { aggregate, consoleSink, count, defineConfig, flow, kafka, mysql, postgres, recordKey, redis } from 'weirflow'
         const counts = aggregate('counts', { by: recordKey, of: count() })
         export default defineConfig({
           app: '${app}',
           connections: { kafka: kafka({ brokers: '${cluster.bootstrap}' }), ${keeps} },
           flows: {
             flow: flow(kafka.source({ topic: '${topic}' }), counts, consoleSink())
               .with({ checkpoints: '${keeper === undefined ? 'kafka' : 'keeper'}' }),
           },
         })`,
      )
      return weirIn(cwd, argv)
    }

    /** Results may be told before they are committed. */
    const stored = (app: string, topic: string) =>
      expect.poll(async () => (await weir(app, topic, 'state', 'flow')).said)

    test('move a flow that does not run, and one that does', async () => {
      const [app, topic] = [fresh('app'), fresh('topic')]
      await tools.create(topic, 1)
      await tools.fill(topic, 0, 0, 5)
      const results: Result[] = []
      const total = () => expect.poll(() => results.at(-1)?.value)
      const first = run(app, counting(topic, results))
      await total().toBe(5)
      await first.stop()
      expect(await weir(app, topic, 'state', 'set-position', 'flow', topic, '--to', '3')).toMatchObject({
        code: 0,
        said: expect.stringMatching(/-0 +5 +→ +3\n/),
      })
      const second = run(app, counting(topic, results))
      await total().toBe(7)
      await stored(app, topic).toMatch(/-0 +5 /)
      expect(await weir(app, topic, 'state', 'set-position', 'flow', topic, '--to', 'earliest')).toMatchObject({
        code: 0,
        said: expect.stringMatching(/-0 +5 +→ +0\n/),
      })
      await total().toBe(12)
      await expect.poll(second.status).toMatchObject({ state: 'running', error: undefined })
      await tools.fill(topic, 0, 5, 6)
      await total().toBe(13)
    })

    test('are none that the log does not have: earliest is where it begins, and a gap is none then', async () => {
      const [app, topic] = [fresh('app'), fresh('topic')]
      await tools.create(topic, 2)
      await tools.fill(topic, 0, 0, 5)
      const results: Result[] = []
      const total = () => expect.poll(() => results.at(-1)?.value)
      const first = run(app, counting(topic, results))
      await total().toBe(5)
      await first.stop()
      await tools.fill(topic, 0, 5, 20)
      await tools.deleteBefore(topic, 0, 10)
      const set = (...more: string[]) => weir(app, topic, 'state', 'set-position', 'flow', topic, '--to', ...more)
      for (const offset of ['9', '21', '10'])
        expect(await set(offset)).toMatchObject({
          code: 2,
          said: expect.stringContaining(`no offset ${offset}: it begins`),
        })
      expect((await weir(app, topic, 'state', 'flow')).said).toMatch(/-0 +5 /)
      const stopped = run(app, counting(topic, results, { onGap: 'fail' }))
      await expect.poll(() => stopped.status().error?.code).toBe('WEIR_SOURCE_GAP')
      expect(await set('earliest')).toMatchObject({
        code: 0,
        said: expect.stringMatching(/-0 +5 +→ +10\n/),
      })
      const { status } = run(app, counting(topic, results, { onGap: 'fail' }))
      await total().toBe(15)
      expect(await set('latest', '--partition', '0')).toMatchObject({ code: 0 })
      // The command took the positions from a task that runs: it is fenced where it was committing, and starts anew.
      await expect.poll(status).toMatchObject({ state: 'running', error: undefined })
    })

    test('stay where the state is when the offsets of the group are reset, and that is told', async () => {
      const [app, topic] = [fresh('app'), fresh('topic')]
      await tools.create(topic, 1)
      await tools.fill(topic, 0, 0, 5)
      const results: Result[] = []
      const first = run(app, counting(topic, results))
      await expect.poll(() => results.at(-1)?.value).toBe(5)
      await first.stop()
      await tools.resetOffset(`${app}.flow`, topic, 0, 2)
      const { changes } = run(app, counting(topic, results))
      await tools.fill(topic, 0, 5, 6)
      await expect.poll(() => results.at(-1)?.value).toBe(6)
      await expect.poll(() => changes).toEqual(['reset'])
    })

    test('without state go where the offsets of the group are reset to', async ({ skip }) => {
      const lines = keeper?.lines
      if (lines === undefined) return skip()
      const [app, topic] = [fresh('app'), fresh('topic')]
      await tools.create(topic, 1)
      await tools.fill(topic, 0, 0, 5)
      const first = run(app, copying(topic, lines.sink()))
      await expect.poll(lines.read).toEqual(['r0', 'r1', 'r2', 'r3', 'r4'])
      await first.stop()
      await tools.resetOffset(`${app}.flow`, topic, 0, 3)
      const { changes } = run(app, copying(topic, lines.sink()))
      await expect.poll(lines.read).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r3', 'r4'])
      expect(changes).toEqual(['reset'])
    })

    test('keep a time that can be set back, of a flow that does not run and of one that does', async () => {
      const [app, topic] = [fresh('app'), fresh('topic')]
      const start = Date.UTC(2026, 0)
      const far = Date.UTC(2999, 0)
      await tools.create(topic, 1)
      const results: Result[] = []
      const texts = (times: number[]) => times.map((t) => JSON.stringify({ t }))
      const told = (...times: number[]) => tools.put(topic, 0, texts(times))
      const windows = () => expect.poll(() => results.map(({ window }) => window?.start.getTime() ?? 0))
      const setBack = () => weir(app, topic, 'state', 'set-time', 'flow', '--to', new Date(start).toISOString())
      const first = run(app, timing(topic, results))
      await told(start, far)
      await windows().toEqual([start])
      await first.stop()
      expect(await setBack()).toMatchObject({ code: 0, said: expect.stringContaining('2999-01-01T00:00:00.000Z   →') })
      const { status } = run(app, timing(topic, results))
      await told(start + 10_000, start + 20_000)
      await windows().toEqual([start, start + 10_000])
      await told(far)
      await windows().toEqual([start, start + 10_000, start + 20_000])
      expect((await setBack()).code).toBe(0)
      await told(start + 30_000, start + 40_000)
      await windows().toEqual([start, start + 10_000, start + 20_000, start + 30_000])
      await expect.poll(() => status().state).toBe('running')
    })
  })
})

/** Counts what a topic has, by its own keys. */
function counting(topic: string, results: Result[], options: object = {}) {
  return flow(kafka.source({ topic, ...options }), aggregate('counts', { by: recordKey, of: count() }), listed(results))
}

function copying(topic: string, sink: Sink<string>) {
  return flow(
    kafka.source({ topic }),
    map((value) => String(value)),
    sink,
  )
}

function timing(topic: string, results: Result[]) {
  return flow(
    kafka.source({ topic }),
    json<{ readonly t: number }>(),
    eventTime(({ t }) => t, { maxAhead: false }),
    aggregate('counts', { by: recordKey, of: count(), window: tumbling('10s'), late: 'skip' }),
    listed(results),
  )
}

function listed(results: Result[]): Sink<unknown> {
  return defineSink({
    name: 'listed',
    summary: 'Hands values to a test.',
    options: z.strictObject({}),
    guarantee: () => 'at-least-once',
    build: () => ({ write: (records$) => records$.pipe(tap(({ value }) => results.push(value as Result))) }),
  }).declare({})
}
