import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientSettings, codes } from '../../src/kafka/client.js'
import { Brokers } from '../../src/kafka/fetch/brokers.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, makeTopic, writeTo } from './kafka-support.js'

const patience = { timeout: 90_000, interval: 100 }

describe.skipIf(requireKafka() !== undefined)('brokers of our own connections', () => {
  let kafka: KafkaCluster
  let brokers: Brokers
  beforeAll(async () => {
    kafka = await KafkaCluster.start({ brokers: 3, proxied: true })
    const settings: ClientSettings = {
      'metadata.broker.list': kafka.bootstrap,
      'reconnect.backoff.ms': 50,
      'reconnect.backoff.max.ms': 1_000,
    }
    brokers = new Brokers(() => Promise.resolve(settings))
  })
  afterAll(async () => {
    brokers?.close()
    await kafka?.close()
  })

  async function read(topic: string): Promise<string> {
    const { node, epoch } = brokers.leaderOf(topic, 0) ?? { node: -1, epoch: -1 }
    const partitions = [{ partition: 0, leaderEpoch: epoch, offset: 0, lastFetchedEpoch: -1, maxBytes: 100_000 }]
    const request = { maxWaitMs: 100, minBytes: 1, maxBytes: 100_000, rack: '', topics: [{ topic, partitions }] }
    const connection = await brokers.connectionTo(node)
    const [answer] = (await connection.request(fetch, request, 1_000)).partitions
    return answer?.error === 0 ? answer.records.toString() : `error ${answer?.error}`
  }

  /** What a lane does: asks again when something has failed. */
  const reads = async (topic: string) => {
    await brokers.refresh([topic])
    return read(topic)
  }
  const soon = (topic: string) => expect.poll(() => reads(topic).catch((error: Error) => error.message), patience)

  test('are read from where a leader is, cut off, killed, back, or all away', async () => {
    const [topic, connection] = [fresh('topic'), connect(kafka.bootstrap)]
    await makeTopic(connection, topic)
    await writeTo(connection, topic, ['value'])
    await connection.close()
    await soon(topic).toContain('value')

    kafka.cut()
    await soon(topic).toContain('value')

    const leader = brokers.leaderOf(topic, 0)!
    await kafka.kill(leader.node - 1)
    await soon(topic).toContain('value')
    const next = brokers.leaderOf(topic, 0)!
    expect(next.node).not.toBe(leader.node)
    expect(next.epoch).toBeGreaterThan(leader.epoch)

    await expect(brokers.connectionTo(leader.node)).rejects.toThrow()
    await kafka.restart(leader.node - 1)
    const isBack = async () => {
      await brokers.refresh([topic])
      return (await brokers.connectionTo(leader.node)).isOpen
    }
    await expect.poll(() => isBack().catch(() => false), patience).toBe(true)

    for (const way of kafka.ways) way.hold()
    await expect(read(topic)).rejects.toMatchObject({ code: codes.timedOut })
    await expect(brokers.refresh([topic])).rejects.toMatchObject({ code: codes.timedOut })
    for (const way of kafka.ways) way.release()
    await soon(topic).toContain('value')
  })
})
