import { describe, expect, onTestFinished, test } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { flow, kafka } from '../../src/index.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer, valuesOf } from './kafka-support.js'
import type { Fate } from './tcp-proxy.js'
import { reassign, TopicTools } from './topic-tools.js'

const partitions = 3
const patience = { timeout: 90_000, interval: 100 }
/** Long enough that most of an answer is records. */
const padding = 'x'.repeat(200)

describe.skipIf(requireKafka() !== undefined)('a flow that fetches past the client', () => {
  const shared = sharedServer(() => KafkaCluster.start({ brokers: 3, proxied: true }))

  async function copying() {
    const tools = await TopicTools.connect(shared.server.bootstrap)
    onTestFinished(() => tools.close())
    const [source, target] = [fresh('source'), await makeTopic(shared.connection, fresh('target'))]
    await tools.create(source, partitions)
    const written = new Array<number>(partitions).fill(0)
    /** Writes so many records to each partition. */
    const write = async (records: number) => {
      for (const [partition, from] of written.entries()) {
        const texts = Array.from({ length: records }, (_, index) => `${partition} ${from + index} ${padding}`)
        await tools.put(source, partition, texts)
        written[partition] = from + records
      }
    }
    const start = () => {
      const topology = compile(
        {
          app: fresh('app'),
          connections: { kafka: kafka({ brokers: shared.server.bootstrap }) },
          flows: {
            copies: flow(
              kafka.source({ topic: source, reader: 'fetch' }),
              kafka.sink({ topic: target, key: () => null }),
            ).with({ checkpoints: 'kafka', guarantee: 'exactly-once', epoch: { maxRecords: 1_000, every: '500ms' } }),
          },
        },
        { environment: {} },
      )
      const { engine } = runningEngine(topology)
      return () => engine.status()[0]?.stages.at(-1)?.out ?? 0
    }
    /** The numbers that came of each partition, in the order in which they came. */
    const copies = async () => {
      const texts = (await valuesOf(shared.connection, target)).map((text) => text.split(' '))
      return written.map((_, partition) =>
        texts.flatMap(([from, number]) => (Number(from) === partition ? [Number(number)] : [])),
      )
    }
    const all = () => written.map((count) => Array.from({ length: count }, (_, index) => index))
    const total = () => written.reduce((sum, count) => sum + count, 0)
    return { tools, source, write, start, copies, all, total }
  }

  test('copies each record once, while answers of brokers come late, in halves, or are cut', async () => {
    const { write, start, copies, all, total } = await copying()
    await write(10_000)
    const met: Record<Fate, number> = { passes: 0, waits: 0, 'is halved': 0, 'is cut': 0 }
    // Records come in large pieces, a dozen and more an answer; what is said of groups and transactions is short, and only waits.
    const fates: readonly Fate[] = ['passes', 'waits', 'is halved']
    const cutEvery = 29
    let large = 0
    let small = 0
    const fate = (bytes: number): Fate => {
      const isLarge = bytes > 10_000
      const next = isLarge ? fates[large++ % fates.length] : small++ % 10 === 0 ? 'waits' : 'passes'
      const fate = isLarge && large % cutEvery === 0 ? 'is cut' : (next as Fate)
      met[fate]++
      return fate
    }
    for (const way of shared.server.ways) way.disturb(fate)
    onTestFinished(() => {
      for (const way of shared.server.ways) way.disturb(undefined)
    })
    const out = start()
    await expect.poll(out, patience).toBeGreaterThanOrEqual(total())
    for (const way of shared.server.ways) way.disturb(undefined)
    // What is out is committed a moment later.
    await expect.poll(copies, patience).toEqual(all())
    expect(Math.min(met.waits, met['is halved'], met['is cut'])).toBeGreaterThanOrEqual(2)
  })

  test('copies each record once, while its partitions move from broker to broker', async () => {
    const { tools, source, write, start, copies, all, total } = await copying()
    await write(1_000)
    const out = start()
    await expect.poll(out, patience).toBeGreaterThan(0)
    for (const brokers of [
      [2, 3, 1],
      [3, 1, 2],
    ]) {
      const moving = reassign(shared.server.bootstrap, source, brokers)
      await write(1_000)
      await moving
      await expect.poll(() => tools.leaders(source), patience).toEqual(brokers)
      await write(500)
    }
    await expect.poll(out, patience).toBeGreaterThanOrEqual(total())
    // What is out is committed a moment later.
    await expect.poll(copies, patience).toEqual(all())
  })
})
