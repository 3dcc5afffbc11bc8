import { describe, expect, test, vi } from 'vitest'
import { compile, type Flow } from '../../src/engine/index.js'
import { aggregate, count, flow, kafka, keyBy } from '../../src/index.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { topicPolicy } from './kafka-policy.js'
import { fresh, makeTopic, sharedServer, writeTo } from './kafka-support.js'
import { findProgram } from './server-support.js'

const missing = requireKafka() ?? (findProgram('javac') === undefined ? 'no javac' : undefined)

/** The values of a topic, as soon as there are as many. */
async function read(connection: KafkaConnection, topic: string, many: number, partitions = 1): Promise<string[]> {
  const reader = new LogReader(await connection.settings())
  await reader.connect()
  reader.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })))
  const values: string[] = []
  while (values.length < many) for (const { value } of await reader.poll()) values.push(String(value))
  await reader.close()
  return values.sort()
}

describe.skipIf(missing !== undefined)('brokers with a policy for topics', () => {
  const shared = sharedServer(async () => {
    const { forget, ...policy } = topicPolicy()
    const cluster = await KafkaCluster.start(policy)
    return { ...cluster, close: () => cluster.close().finally(forget) }
  })

  const running = (name: string, declared: Flow) => {
    const connections = { kafka: kafka({ brokers: shared.server.bootstrap }) }
    const { engine } = runningEngine(
      compile({ app: 'policy', connections, flows: { [name]: declared } }, { environment: {} }),
    )
    return () => engine.status().find(({ flow }) => flow === name)
  }
  const waitFor = (isTrue: () => void) => vi.waitFor(isTrue, { timeout: 60_000, interval: 100 })

  test.each(['at-least-once', 'exactly-once'] as const)(
    'a topic that a record named, and the policy refuses, is the fault of the record, %s',
    async (guarantee) => {
      const [source, target, dead] = [fresh('source'), fresh('target'), fresh('dead')]
      await makeTopic(shared.connection, source)
      await makeTopic(shared.connection, target)
      const bad = Array.from({ length: 10 }, (_, index) => `bad ${index}`)
      await writeTo(shared.connection, source, ['a', ...bad, 'b'])
      const asked = guarantee === 'exactly-once' ? { guarantee, checkpoints: 'kafka' } : {}
      const topic = (value: Buffer | null) => (String(value).startsWith('bad') ? `${target}.forbidden` : target)
      const status = running(
        fresh('named'),
        flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic })).with({
          attempts: 3,
          deadLetters: dead,
          ...asked,
        }),
      )
      expect(await read(shared.connection, target, 2)).toEqual(['a', 'b'])
      expect(await read(shared.connection, dead, 10)).toEqual(bad)
      expect(status()?.state).not.toBe('failed')
    },
  )

  /** What goes on as soon as somebody has made the topic as the policy wants it. */
  const fixed: Readonly<
    Record<
      string,
      (source: string, target: string, strict: string) => { flow: Flow; topic: string; read: string; from: number }
    >
  > = {
    'the topic of a sink': (source, _, strict) => ({
      flow: flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: strict })),
      topic: strict,
      read: strict,
      from: 2,
    }),
    'the topic of dead letters': (source, target, strict) => ({
      flow: flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: target })).with({
        deadLetters: strict,
      }),
      topic: strict,
      read: target,
      from: 1,
    }),
    'an internal topic': (source, target) => ({
      flow: flow(
        kafka.source({ topic: source, from: 'earliest' }),
        keyBy((value) => String(value)),
        aggregate('strict', { of: count(), emit: 'epoch' }),
        kafka.sink({ topic: target, value: ({ key }) => String(key) }),
      ).with({ checkpoints: 'kafka' }),
      topic: '.strict.repartition',
      read: target,
      from: 1,
    }),
  }

  test.each(Object.entries(fixed))('%s that the policy refuses is told, and waited for', async (_, kind) => {
    const [source, target, strict, name] = [fresh('source'), fresh('target'), fresh('strict'), fresh('fixed')]
    await makeTopic(shared.connection, source)
    await makeTopic(shared.connection, target)
    await writeTo(shared.connection, source, ['a', 'b'])
    const made = kind(source, target, strict)
    const status = running(name, made.flow)
    await waitFor(() => expect(status()?.error?.message).toMatch(/two partitions, please/))
    expect(status()?.state).not.toBe('failed')
    const topic = made.topic.startsWith('.') ? `policy.${name}${made.topic}` : made.topic
    await makeTopic(shared.connection, topic, { partitions: 2 })
    expect(await read(shared.connection, made.read, 2, made.from)).toEqual(['a', 'b'])
  })
})
