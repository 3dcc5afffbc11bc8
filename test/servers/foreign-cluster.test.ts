import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { compile, type Flow, type Observer, type WeirConfig } from '../../src/engine/index.js'
import { aggregate, count, flow, generate, kafka, memory, recordKey, redis } from '../../src/index.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, makeTopic, writeTo } from './kafka-support.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { TcpProxy } from './tcp-proxy.js'

const patience = { timeout: 90_000, interval: 100 }

/** Two clusters that have one address, which leads to the first. */
describe.skipIf(requireKafka() !== undefined)('another cluster behind the address', () => {
  let way: TcpProxy
  let clusters: KafkaCluster[]

  beforeAll(async () => {
    way = await TcpProxy.start(0)
    const settings = { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${way.port}` }
    clusters = await Promise.all([KafkaCluster.start({ settings }), KafkaCluster.start({ settings })])
  })

  afterAll(async () => {
    await way?.close()
    await Promise.all((clusters ?? []).map((cluster) => cluster.close()))
  })

  const lead = (to: number) => {
    way.target = Number(clusters[to]!.bootstrap.split(':')[1])
    way.cut()
  }
  const address = () => `127.0.0.1:${way.port}`

  async function at<T>(cluster: number, act: (connection: ReturnType<typeof connect>) => Promise<T>): Promise<T> {
    lead(cluster)
    const connection = connect(address())
    return act(connection).finally(() => connection.close())
  }

  function running(flows: Readonly<Record<string, Flow>>, more: Partial<WeirConfig> = {}) {
    const connections = { kafka: kafka({ brokers: address() }), ...more.connections }
    const config = { app: fresh('app'), checkpoints: memory(), flows, ...more, connections }
    const ending: (() => Promise<void>)[] = []
    const committed = new Map<string, number>()
    const observer: Observer = {
      epoch: ({ flow, records }) => void committed.set(flow, (committed.get(flow) ?? 0) + records),
    }
    const ended = (stop: () => Promise<void>) => {
      let stopped: Promise<void> | undefined
      const once = () => (stopped ??= stop())
      ending.push(once)
      onTestFinished(once)
    }
    const { engine } = runningEngine(compile(config, { environment: {} }), ended, { observer })
    /** How many records of a flow are committed; what came out may not be. */
    const records = (flow: string) => expect.poll(() => committed.get(flow), patience)
    return { engine, records, stop: async () => void (await Promise.all(ending.map((end) => end()))) }
  }

  const read = (cluster: number, topic: string) =>
    at(cluster, async (connection) => {
      const reader = new LogReader(await connection.settings())
      await reader.connect()
      reader.assign([{ topic, partition: 0, offset: 0 }])
      const values: string[] = []
      while (!reader.hasEnded({ topic, partition: 0 }))
        for (const { value } of await reader.poll()) values.push(String(value))
      await reader.close()
      return values
    })

  test.each(['at once', 'after it was away'])('stops what reads and what writes, %s', async (when) => {
    const [source, target, made] = [fresh('source'), fresh('target'), fresh('made')]
    for (const cluster of [1, 0])
      await at(cluster, async (connection) => {
        for (const topic of [source, target, made]) await makeTopic(connection, topic)
        await writeTo(connection, source, [`from ${cluster}`])
      })
    const { engine, records } = running({
      copies: flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: target })),
      numbers: flow(
        generate({ rate: 20, value: (_random, index) => `number ${index}` }),
        kafka.sink({ topic: made, deliveryTimeout: '2s' }),
      ),
    })
    const statuses = () => engine.status()
    await expect.poll(() => statuses().map(({ lastCommitAt }) => lastCommitAt), patience).not.toContain(undefined)
    await records('copies').toBe(1)
    if (when !== 'at once') {
      way.target = 1
      way.cut()
      await expect.poll(() => statuses()[1]?.error?.code, patience).toMatch(/^WEIR_SINK/)
    }
    lead(1)
    await expect
      .poll(() => statuses().map(({ state, error }) => [state, error?.code]), patience)
      .toEqual([
        ['failed', 'WEIR_CLUSTER_FOREIGN'],
        ['failed', 'WEIR_CLUSTER_FOREIGN'],
      ])
    expect(statuses()[0]?.error?.message).toMatch(
      /: behind 127.0.0.1:\d+ cluster \S+ answers, where \S+ has until now$/,
    )
    expect(await read(1, target)).toEqual([])
    expect(await read(0, target)).toEqual(['from 0'])
  })

  test.skipIf(missingRedis() !== undefined)(
    'stops a flow that is started there with checkpoints of the first, and it goes on when it is led back',
    async () => {
      const cache = await RedisServer.start()
      onTestFinished(() => cache.close())
      const [app, source, target] = [fresh('app'), fresh('source'), fresh('target')]
      const made = async (cluster: number, values: readonly string[]) => {
        await at(cluster, async (connection) => {
          for (const topic of [source, target]) await makeTopic(connection, topic)
          await writeTo(connection, source, values)
        })
      }
      await made(0, ['a', 'b'])
      const counts = () =>
        running(
          {
            counts: flow(
              kafka.source({ topic: source }),
              aggregate('counts', { of: count(), by: recordKey }),
              kafka.sink({ topic: target, key: () => null, value: ({ value }) => value }),
            ),
          },
          { app, connections: { cache: redis({ url: cache.url }) }, checkpoints: 'cache' },
        )
      const first = counts()
      await first.records('counts').toBe(2)
      await first.stop()

      // Nobody can tell that from a topic that is not there yet.
      lead(1)
      const waiting = counts()
      await expect.poll(() => waiting.engine.status()[0]?.trouble?.code, patience).toBe('WEIR_SOURCE_MISSING')
      await waiting.stop()

      await made(1, ['x', 'y', 'z'])
      const { engine, stop } = counts()
      await expect.poll(() => engine.status()[0]?.error?.code, patience).toBe('WEIR_SOURCE_RECREATED')
      expect(engine.status()[0]).toMatchObject({
        state: 'failed',
        error: {
          hint: expect.stringContaining('Where the address leads to another cluster than before, set it right.'),
        },
      })
      await stop()
      expect(await read(1, target)).toEqual([])

      await at(0, (connection) => writeTo(connection, source, ['c']))
      lead(0)
      const back = counts()
      await back.records('counts').toBe(1)
      await back.stop()
      expect(await read(0, target)).toEqual(['1', '2', '3'])
    },
  )
})
