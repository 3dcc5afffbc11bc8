import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { compile, flow, kafka } from '../../src/index.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer, writeTo } from './kafka-support.js'
import { configure } from './topic-tools.js'

const many = 6_000

describe.skipIf(requireKafka() !== undefined)('a transaction that a quota makes too long', () => {
  const shared = sharedServer(() =>
    KafkaCluster.start({ settings: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' } }),
  )

  test('is aborted, and smaller ones come through: each record once', async () => {
    const { connection, server } = shared
    const [source, target] = [
      await makeTopic(connection, fresh('source')),
      await makeTopic(connection, fresh('target')),
    ]
    const texts = Array.from({ length: many }, (_, index) => `${index} ${randomBytes(110).toString('base64')}`)
    await writeTo(connection, source, texts)
    await configure(server.bootstrap, 'clients', 'slow', 'producer_byte_rate=50000')
    const copies = flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: target })).with({
      checkpoints: 'kafka',
      guarantee: 'exactly-once',
    })
    const client = { 'transaction.timeout.ms': 2_000, 'socket.timeout.ms': 2_000 }
    const connections = { kafka: kafka({ brokers: server.bootstrap, clientId: 'slow', client }) }
    const { engine } = runningEngine(
      compile({ app: fresh('app'), connections, flows: { copies } }, { environment: {} }),
    )
    const hints = new Set<string | undefined>()
    const reader = new LogReader(await connection.settings())
    await reader.connect()
    reader.assign([{ topic: target, partition: 0, offset: 0 }])
    const come: string[] = []
    while (come.length < many) {
      for (const { value } of await reader.poll()) come.push(String(value))
      hints.add(engine.status()[0]?.error?.hint)
    }
    await reader.close()
    expect(come).toEqual(texts)
    expect([...hints].join()).toMatch(/epochs have fewer records from now on/)
  })
})
