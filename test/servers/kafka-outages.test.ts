import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { compile, type Flow, type FlowStatus } from '../../src/engine/index.js'
import { aggregate, count, flow, generate, json, kafka, keyBy, postgres, recordKey, redis } from '../../src/index.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer, valuesOf, writeTo } from './kafka-support.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { configure, TopicTools } from './topic-tools.js'

const all = 3
const strict = { 'min.insync.replicas': String(all) }
const patience = { timeout: 90_000, interval: 250 }
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe.skipIf(requireKafka() !== undefined)('an outage of Apache Kafka', () => {
  const shared = sharedServer(() => KafkaCluster.start({ brokers: all }))

  const make = (topic: string, config?: Readonly<Record<string, string>>) =>
    makeTopic(shared.connection, topic, config && { config })
  const write = (topic: string, values: readonly unknown[]) => writeTo(shared.connection, topic, values)

  /** What comes to these topics, and is committed, in the order of the topics. */
  async function following(topics: readonly string[]): Promise<() => readonly (readonly string[])[]> {
    const come = new Map(topics.map((topic) => [topic, [] as string[]]))
    const reader = new LogReader({ ...(await shared.connection.settings()), 'client.id': 'observer' })
    await reader.connect()
    reader.assign(topics.map((topic) => ({ topic, partition: 0, offset: 0 })))
    let isOver = false
    let failure: unknown
    const reading = (async () => {
      while (!isOver)
        for (const { topic, value } of await reader.poll()) come.get(topic)?.push(value?.toString() ?? 'null')
    })()
      .catch((error: unknown) => {
        failure = error
      })
      .finally(() => reader.close())
    onTestFinished(() => {
      isOver = true
      return reading
    })
    return () => {
      if (failure !== undefined) throw failure as Error
      return [...come.values()]
    }
  }

  function running(flows: Readonly<Record<string, Flow>>, app = fresh('app'), more: object = {}, besides: object = {}) {
    const connections = { kafka: kafka({ brokers: shared.server.bootstrap, ...more }), ...besides }
    const topology = compile({ app, connections, flows }, { environment: {} })
    const { engine } = runningEngine(topology)
    return { status: (name: string) => engine.status().find((one) => one.flow === name)!, stop: () => engine.stop() }
  }

  /** Ends brokers as a power cut would. Resolves with what starts them again, which a test that fails need not do itself. */
  async function kill(...brokers: number[]): Promise<() => Promise<unknown>> {
    let restarted: Promise<unknown> | undefined
    const restart = () => (restarted ??= Promise.all(brokers.map((broker) => shared.server.restart(broker))))
    onTestFinished(async () => void (await restart()))
    await Promise.all(brokers.map((broker) => shared.server.kill(broker)))
    return restart
  }

  test('for want of replicas is waited for, and says so, wherever there are too few', async () => {
    const app = fresh('app')
    const source = await make(fresh('source'), { 'min.insync.replicas': '1' })
    const [plain, exact, letters] = [
      await make(fresh('plain'), strict),
      await make(fresh('exact'), strict),
      await make(fresh('letters'), strict),
    ]
    const [keyed, stored] = [await make(fresh('keyed')), await make(fresh('stored'))]
    await make(`${app}.keyed.counts.repartition`, strict)
    await make(`${app}.stored.${source}.checkpoints`, strict)
    const read = () => kafka.source({ topic: source, from: 'earliest' })
    const { status } = running(
      {
        plain: flow(read(), kafka.sink({ topic: plain, deliveryTimeout: '5s' })),
        exact: flow(read(), kafka.sink({ topic: exact })).with({ checkpoints: 'kafka', guarantee: 'exactly-once' }),
        letters: flow(read(), json(z.string()), kafka.sink({ topic: keyed })).with({ deadLetters: letters }),
        keyed: flow(
          read(),
          json<number>(),
          keyBy(() => 'all'),
          aggregate('counts', { of: count(), emit: 'epoch' }),
          kafka.sink({ topic: keyed, key: () => null, value: ({ value }) => value }),
        ).with({ checkpoints: 'kafka' }),
        stored: flow(
          read(),
          aggregate('totals', { of: count(), by: recordKey, emit: 'epoch' }),
          kafka.sink({ topic: stored, key: () => null, value: ({ value }) => value }),
        ).with({ checkpoints: 'kafka' }),
      },
      app,
    )
    const followed = await following([plain, exact, letters, keyed, stored])
    /** What is only written at least once may be there again. */
    const come = () => followed().map((texts, index) => (index === 1 ? texts : [...new Set(texts)]))
    const reached = (to: number) => {
      const texts = numbers(0, to).map(String)
      return [texts, texts, texts, expect.arrayContaining([String(to)]), expect.arrayContaining([String(to)])]
    }
    await write(source, numbers(0, 100))
    await expect.poll(come, patience).toEqual(reached(100))
    const restart = await kill(2)
    const outOfSync = async () => (await shared.connection.topics.replicas(plain))[0]?.inSync
    await expect.poll(outOfSync, patience).toBe(all - 1)
    await write(source, numbers(100, 200))
    for (const [name, topic] of Object.entries({
      plain,
      exact,
      letters,
      keyed: `${app}.keyed.counts.repartition`,
      stored: `${app}.stored.${source}.checkpoints`,
    })) {
      const why = `in sync are .*2 of 3 replicas of ${topic}-0`
      // What comes after the first of several tries, another try may have put in its place.
      await expect
        .poll(() => status(name).error?.message, patience)
        .toMatch(new RegExp(`${why}|has not ended|have not ended`))
      expect(status(name)).toMatchObject({ failingSince: expect.any(Number), error: { culprit: 'system' } })
    }
    await restart()
    await expect.poll(come, patience).toEqual(reached(200))
    await expect
      .poll(() => ['plain', 'exact', 'letters', 'keyed', 'stored'].map((name) => status(name).error), patience)
      .toEqual(Array.from({ length: 5 }, () => undefined))
  })

  test.skipIf(missingPostgres() !== undefined || missingRedis() !== undefined)(
    'of two brokers at once loses nothing, and what counts once counts once',
    async () => {
      const [database, cache] = await Promise.all([PostgresServer.start(), RedisServer.start()])
      onTestFinished(async () => {
        await database.close()
        await cache.close()
      })
      await database.query('CREATE TABLE numbers (number integer)')
      const [source, plain, exact] = [
        await make(fresh('source')),
        await make(fresh('plain')),
        await make(fresh('exact')),
      ]
      const counts = await make(fresh('counts'))
      const read = () => kafka.source({ topic: source, from: 'earliest' })
      const exactly = { checkpoints: 'kafka', guarantee: 'exactly-once' } as const
      const made = flow(generate({ rate: 250, value: (_random, index) => index }), kafka.sink({ topic: source })).with(
        exactly,
      )
      const flows = {
        plain: flow(read(), kafka.sink({ topic: plain })),
        exact: flow(read(), kafka.sink({ topic: exact })).with(exactly),
        counted: flow(
          read(),
          json<number>(),
          keyBy((number) => String(number % 2)),
          aggregate('counts', { of: count(), emit: 'epoch' }),
          kafka.sink({ topic: counts, key: () => null, value: ({ key, value }) => `${String(key)} ${value}` }),
        ).with(exactly),
        rows: flow(read(), json<number>(), postgres.sink({ table: 'numbers', row: (number) => ({ number }) })).with({
          checkpoints: 'database',
        }),
        entries: flow(
          read(),
          json<number>(),
          redis.sink({ write: (number) => ({ stream: 'numbers', fields: { number } }), append: true }),
        ).with({ checkpoints: 'cache' }),
      }
      const more = { database: postgres({ url: database.url }), cache: redis({ url: cache.url }) }
      const maker = running({ made })
      const { status } = running(flows, fresh('app'), {}, more)
      const come = await following([source, plain, exact, counts])
      await expect.poll(() => come()[2]?.length, patience).toBeGreaterThan(500)
      const restart = await kill(1, 2)
      const said = ({ error, trouble }: FlowStatus) => error ?? trouble
      // The others may have read all that there is, or have nothing to read while their group is not led.
      await expect.poll(() => said(maker.status('made')), patience).toMatchObject({ culprit: 'system' })
      await restart()
      await expect.poll(() => said(maker.status('made')), patience).toBeUndefined()
      maker.stop()
      await expect.poll(() => maker.status('made').state, patience).toBe('stopped')
      const texts = await valuesOf(shared.connection, source)
      const many = texts.length
      expect(texts).toEqual(numbers(0, many).map(String))
      await expect.poll(() => come()[2]?.length, patience).toBe(many)
      await expect.poll(() => new Set(come()[1]).size, patience).toBe(many)
      const rows = async () =>
        (await database.query<{ number: number }>('SELECT number FROM numbers')).map(({ number }) => number)
      await expect.poll(async () => (await rows()).length, patience).toBe(many)
      const entries = () =>
        cache.use(async (client) => (await client.xrange('numbers', '-', '+')).map(([, [, id]]) => id))
      await expect.poll(async () => (await entries()).length, patience).toBe(many)
      const halves = [`0 ${Math.ceil(many / 2)}`, `1 ${Math.floor(many / 2)}`]
      await expect.poll(() => come()[3], patience).toEqual(expect.arrayContaining(halves))
      expect([come()[2], await entries()]).toEqual([texts, texts])
      expect((await rows()).sort((one, other) => one - other)).toEqual(numbers(0, many))
      await expect
        .poll(() => Object.keys(flows).map((name) => said(status(name))), patience)
        .toEqual(Object.keys(flows).map(() => undefined))
    },
  )

  test("for want of replicas of the brokers' own topic for groups is a trouble that is told", async () => {
    const source = await make(fresh('source'), { 'min.insync.replicas': '1' })
    const target = await make(fresh('target'))
    const come = await following([target])
    const copies = () =>
      running({ copies: flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: target })) })
    await write(source, numbers(0, 10))
    copies()
    await expect.poll(come, patience).toEqual([numbers(0, 10).map(String)])
    const needed = (replicas: number) =>
      configure(shared.server.bootstrap, 'topics', '__consumer_offsets', `min.insync.replicas=${replicas}`)
    onTestFinished(() => needed(2))
    await needed(3)
    const restart = await kill(2)
    const { status } = copies()
    const expected =
      /joining group '.*', since .*: it gives this process nothing to read \(in sync are 2 of 3 replicas of __consumer_offsets-0\)/
    await expect.poll(() => status('copies').trouble?.message ?? '', patience).toMatch(expected)
    expect(status('copies').state).not.toBe('failed')
    await restart()
    await expect.poll(come, patience).toEqual([[...numbers(0, 10), ...numbers(0, 10)].map(String)])
    await expect.poll(() => status('copies').trouble, patience).toBeUndefined()
  })

  test('that is a topic that was deleted under its sink ends when it is there again, and costs no record', async () => {
    const tools = await TopicTools.connect(shared.server.bootstrap)
    onTestFinished(() => tools.close())
    const [plain, exact, named] = [fresh('plain'), fresh('exact'), fresh('named')]
    const made = () => generate({ rate: 50, value: (_random, index) => index })
    const one = { partitions: 1, onError: 'fail' } as const
    const { status } = running({
      plain: flow(made(), kafka.sink({ ...one, topic: plain })).with({ checkpoints: 'kafka', attempts: 1 }),
      exact: flow(made(), kafka.sink({ ...one, topic: exact })).with({
        checkpoints: 'kafka',
        attempts: 1,
        guarantee: 'exactly-once',
      }),
      named: flow(made(), kafka.sink({ ...one, topic: () => named })).with({ checkpoints: 'kafka', attempts: 1 }),
    })
    const names = ['plain', 'exact', 'named']
    const outs = () => names.map((name) => status(name).stages.at(-1)?.out ?? 0)
    await expect.poll(() => Math.min(...outs()), patience).toBeGreaterThan(50)
    for (const topic of [plain, exact, named]) await tools.delete(topic)
    // Who reads a topic that is not there yet would look for it again after minutes.
    for (const topic of [plain, exact, named])
      await expect.poll(() => shared.connection.topics.partitionsOf(topic), patience).toBe(1)
    const committed = outs()
    const come = await following([plain, exact, named])
    // All that came after it was deleted: the numbers are whole from the first one on.
    await expect.poll(() => Math.min(...come().map(({ length }) => length)), patience).toBeGreaterThan(100)
    for (const [index, values] of come().entries()) {
      const read = values.map(Number)
      const first = read[0] as number
      // What was committed by then was in the one that was deleted.
      expect(first).toBeLessThanOrEqual(committed[index] as number)
      expect([...new Set(read)]).toEqual(numbers(first, Math.max(...read) + 1))
    }
    for (const name of names) expect(status(name).state).not.toBe('failed')
  })

  test('is none where a quota holds everything up: it is slower, and nothing is written twice or lost', async () => {
    const source = await make(fresh('source'))
    const [plain, exact] = [await make(fresh('plain')), await make(fresh('exact'))]
    const texts = numbers(0, 15_000).map((number) => String(number).padEnd(200, 'x'))
    await write(source, texts)
    const quota = 'producer_byte_rate=250000,consumer_byte_rate=500000'
    await configure(shared.server.bootstrap, 'clients', 'slow', quota)
    const read = () => kafka.source({ topic: source, from: 'earliest', stallAfter: '5s' })
    const { status } = running(
      {
        plain: flow(read(), kafka.sink({ topic: plain, deliveryTimeout: '3s' })),
        exact: flow(read(), kafka.sink({ topic: exact })).with({ checkpoints: 'kafka', guarantee: 'exactly-once' }),
      },
      fresh('app'),
      { clientId: 'slow' },
    )
    const errors = new Set<string>()
    const watching = setInterval(() => {
      for (const name of ['plain', 'exact']) errors.add(status(name).error?.message ?? '')
    }, 100)
    onTestFinished(() => clearInterval(watching))
    const began = performance.now()
    const come = await following([plain, exact])
    await expect.poll(() => come().map(({ length }) => length), patience).toEqual([texts.length, texts.length])
    expect(come()).toEqual([texts, texts])
    expect([...errors]).toEqual([''])
    expect(performance.now() - began).toBeGreaterThan(10_000)
  })
})
