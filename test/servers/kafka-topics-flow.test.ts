import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstValueFrom, tap } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { count } from '../../src/aggregates/index.js'
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import { compile, planTopics, topicFaults } from '../../src/engine/index.js'
import { defineSink, type Sink } from '../../src/model/index.js'
import { aggregate, recordKey } from '../../src/operators/aggregate.js'
import { eventTime } from '../../src/operators/event-time.js'
import { json } from '../../src/operators/json.js'
import { keyBy } from '../../src/operators/key-by.js'
import { tumbling } from '../../src/operators/windows.js'
import { runningEngine } from '../support/running-engine.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh } from './kafka-support.js'
import { TopicTools } from './topic-tools.js'

const missing = requireKafka()

interface Counted {
  readonly window: { readonly start: Date }
  readonly value: number
}

interface Total {
  readonly key: unknown
  readonly value: number
}

/** Flows over topics that change, from the engine down. */
describe.skipIf(missing !== undefined)('a flow whose topic changes', () => {
  let cluster: KafkaCluster
  let tools: TopicTools

  beforeAll(async () => {
    cluster = await KafkaCluster.start()
    tools = await TopicTools.connect(cluster.bootstrap)
  })

  afterAll(async () => {
    await tools?.close()
    await cluster?.close()
  })

  /** A flow that counts records, by the keys of the topic or behind an internal one. */
  function counting(app: string, topic: string, options: object, by: 'own keys' | 'other keys') {
    const totals: Total[] = []
    const source = kafka.source({ topic, ...options })
    const counts = aggregate('counts', { by: recordKey, of: count() })
    const sink = listed<Total>((total) => totals.push(total))
    const declared =
      by === 'own keys'
        ? flow(source, counts, sink)
        : flow(
            source,
            keyBy(() => 'all'),
            counts,
            sink,
          )
    const config = {
      app,
      connections: { kafka: kafka({ brokers: cluster.bootstrap, client: { 'session.timeout.ms': 6_000 } }) },
      flows: { flow: declared.with({ checkpoints: 'kafka', epoch: { every: '100ms' } }) },
    }
    const topology = compile(config, { environment: {} })
    const { engine, running } = runningEngine(topology)
    const stop = () => {
      engine.stop()
      return new Promise<void>((resolve) => running.add(resolve))
    }
    return { engine, topology, totals, stop, status: () => engine.status()[0]! }
  }

  /** A flow that counts records in windows behind an internal topic; its partitions are never idle. */
  function windowed(app: string, topic: string, results: Counted[]) {
    const declared = flow(
      kafka.source({ topic, onRecreated: 'restart' }),
      json<{ readonly t: number }>(),
      eventTime(({ t }) => t, { idleAfter: '1h' }),
      keyBy(() => 'all'),
      aggregate('counts', { of: count(), window: tumbling('10s') }),
      listed<Counted>((result) => results.push(result)),
    ).with({ checkpoints: 'kafka', epoch: { every: '100ms' } })
    const connections = { kafka: kafka({ brokers: cluster.bootstrap, client: { 'session.timeout.ms': 6_000 } }) }
    const { engine } = runningEngine(compile({ app, connections, flows: { flow: declared } }, { environment: {} }))
    return { engine, status: () => engine.status() }
  }

  /** What a command says of the flow of own keys. */
  async function weir(app: string, topic: string, ...argv: string[]) {
    const cwd = mkdtempSync(join(tmpdir(), 'weir-topics-'))
    onTestFinished(() => rmSync(cwd, { recursive: true }))
    writeFileSync(
      join(cwd, 'flows.config.ts'),
      `import { aggregate, consoleSink, count, defineConfig, flow, kafka, recordKey } from 'weirflow'
       const counts = aggregate('counts', { by: recordKey, of: count() })
       export default defineConfig({
         app: '${app}',
         connections: { kafka: kafka({ brokers: '${cluster.bootstrap}' }) },
         flows: { flow: flow(kafka.source({ topic: '${topic}' }), counts, consoleSink()).with({ checkpoints: 'kafka' }) },
       })`,
    )
    return weirIn(cwd, argv)
  }

  test('by its growth: state by its keys stops it, and the plan says so', async () => {
    const [app, topic] = [fresh('app'), fresh('topic')]
    await tools.create(topic, 1)
    await tools.fill(topic, 0, 0, 5)
    const first = counting(app, topic, {}, 'own keys')
    await expect.poll(() => first.totals.at(-1)?.value).toBe(5)
    await tools.grow(topic, 3)
    await expect.poll(() => first.status().state).toBe('failed')
    expect(first.status().error).toMatchObject({ code: 'WEIR_SOURCE_REPARTITIONED' })
    const changed = await planTopics(first.topology, first.engine.kept, first.engine)
    expect(changed).toEqual([
      { flow: 'flow', task: `${app}.flow`, topic, change: 'grown', was: 1, now: 3, isRefused: true },
    ])
    expect(topicFaults(changed)[0]?.message).toContain(`topic '${topic}', which had 1 partitions and has 3`)
    const planned = await weir(app, topic, 'plan')
    expect(planned.code).toBe(78)
    expect(planned.said).toMatch(new RegExp(`! ${topic} +flow +grown +1 → 3 partitions: refused`))
    const renamed = await weir(app, fresh('renamed'), 'plan')
    expect(renamed.said).toMatch(new RegExp(`! ${topic} +flow +forgotten +it is read no longer`))
    const accepting = counting(app, topic, { onGrown: 'accept' }, 'own keys')
    await tools.fill(topic, 2, 0, 2)
    await expect.poll(() => accepting.totals.map(({ value }) => value)).toContain(2)
  })

  test('for another one of its name, with fewer partitions: all of that counts, behind an internal topic too', async () => {
    const [app, topic] = [fresh('app'), fresh('topic')]
    await tools.create(topic, 3)
    await tools.fill(topic, 0, 0, 30)
    await tools.fill(topic, 2, 0, 20)
    const { totals, status } = counting(app, topic, { onRecreated: 'restart' }, 'other keys')
    await expect.poll(() => totals.at(-1)?.value).toBe(50)
    await tools.delete(topic)
    await expect.poll(() => status().trouble?.code).toBe('WEIR_SOURCE_MISSING')
    await tools.create(topic, 1)
    await tools.fill(topic, 0, 0, 30)
    await expect.poll(() => totals.at(-1)?.value).toBe(80)
    await expect.poll(() => status().trouble).toBeUndefined()
  })

  test.each([1, 2])(
    'for one with fewer partitions: what open windows have of those that are gone counts, in %i processes',
    async (many) => {
      const [app, topic] = [fresh('app'), fresh('topic')]
      await tools.create(topic, 3)
      const put = (partition: number, ...times: number[]) =>
        tools.put(
          topic,
          partition,
          times.map((t) => JSON.stringify({ t })),
        )
      await put(0, 1_000, 1_000, 1_000)
      await put(1, 1_000)
      await put(2, 2_000, 2_000, 2_000, 2_000, 2_000)
      const results: Counted[] = []
      const workers = Array.from({ length: many }, () => windowed(app, topic, results))
      const kept = async () => {
        const held = await firstValueFrom(workers[0]!.engine.checkpointStore('kafka').list(app))
        const read = held.filter((one) => one.topic === topic && one.task === `${app}.flow`)
        return read.map(({ progress }) => progress?.position ?? 0).sort()
      }
      await expect.poll(kept).toEqual([1, 3, 5])
      await tools.delete(topic)
      const troubles = () => workers.map(({ status }) => status().find(({ trouble }) => trouble)?.trouble?.code)
      await expect.poll(troubles).toContain('WEIR_SOURCE_MISSING')
      expect(results).toEqual([])
      await tools.create(topic, 1)
      await put(0, 3_000, 3_000)
      await expect.poll(kept).toEqual([1, 2, 5])
      await put(0, 20_000, 40_000)
      await expect
        .poll(() => results.map(({ window, value }) => [+window.start, value]))
        .toEqual([
          [0, 11],
          [20_000, 1],
        ])
    },
  )

  test('by a command that sets its position: what is read again counts again', async () => {
    const [app, topic] = [fresh('app'), fresh('topic')]
    await tools.create(topic, 1)
    await tools.fill(topic, 0, 0, 5)
    const first = counting(app, topic, {}, 'own keys')
    await expect.poll(() => first.totals.at(-1)?.value).toBe(5)
    await first.stop()
    const moved = await weir(app, topic, 'state', 'set-position', 'flow', topic, '--to', '3')
    expect(moved).toMatchObject({ code: 0, said: expect.stringMatching(/-0 +5 +→ +3\n/) })
    expect((await weir(app, topic, 'state', 'flow')).said).toMatch(/-0 +3 /)
    const second = counting(app, topic, {}, 'own keys')
    await expect.poll(() => second.totals.at(-1)?.value).toBe(7)
  })

  test('not at all, when it began at its latest: it goes on from where it began', async () => {
    const [app, topic] = [fresh('app'), fresh('topic')]
    await tools.create(topic, 1)
    await tools.fill(topic, 0, 0, 5)
    const first = counting(app, topic, { from: 'latest' }, 'own keys')
    await expect.poll(() => first.status().lastCommitAt).toBeGreaterThan(0)
    await first.stop()
    await tools.fill(topic, 0, 5, 8)
    const second = counting(app, topic, { from: 'latest' }, 'own keys')
    await expect.poll(() => second.totals.at(-1)?.value).toBe(3)
  })
})

function listed<T>(take: (value: T) => void): Sink<T> {
  return defineSink({
    name: 'listed',
    summary: 'Hands values to a test.',
    options: z.strictObject({}),
    guarantee: () => 'at-least-once',
    build: () => ({ write: (records$) => records$.pipe(tap(({ value }) => take(value as T))) }),
  }).declare({})
}
