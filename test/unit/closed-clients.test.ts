import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type ClientSettings, codes, nativeClient } from '../../src/kafka/client.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { GroupConsumer } from '../../src/kafka/consumer.js'
import { KafkaProducer } from '../../src/kafka/producer.js'
import { connect, makeTopic, writeTo } from '../servers/kafka-support.js'

/** One that is never told of the end would wait for ever. */
vi.setConfig({ testTimeout: 60_000 })

const options = { deliveryTimeoutMs: 10_000, compression: 'none', lingerMs: 0, singly: false } as const

let connection: KafkaConnection
let settings: ClientSettings

beforeAll(async () => {
  connection = connect('embedded')
  settings = await connection.settings()
})
afterAll(() => connection.close())

const producerOf = (more: object = {}) => new KafkaProducer({ ...settings, ...more }, options, { refused: () => {} })

test('a producer that is closed while it connects says so, and does not end the process', async () => {
  for (const ms of [0, 0, 1, 1, 2, 2, 3, 3, 5, 8]) {
    const producer = producerOf()
    const outcome = producer.connect().then(
      () => 'connected',
      ({ code }: { code: number }) => code,
    )
    await sleep(ms)
    await producer.close()
    expect([codes.wrongState, 'connected']).toContain(await outcome)
  }
})

test('a producer that is closed while no broker answers leaves at once, and asks no more', async () => {
  const asked = vi.spyOn(nativeClient().Producer.prototype, 'getMetadata')
  onTestFinished(() => void vi.restoreAllMocks())
  const producer = producerOf({ 'metadata.broker.list': '127.0.0.1:1', log_level: 0 })
  const outcome = expect(producer.connect()).rejects.toMatchObject({ code: codes.wrongState })
  await vi.waitFor(() => expect(asked).toHaveBeenCalled())
  await producer.close()
  await outcome
  expect(asked).toHaveBeenCalledTimes(1)
})

test('a consumer that leaves its group before it has heard of its partitions answers, and asks nothing of what is gone', async () => {
  const topic = await makeTopic(connection, 'joined')
  await writeTo(connection, topic, ['a record'])
  const lost = vi.spyOn(nativeClient().KafkaConsumer.prototype as never, 'assignmentLost')
  const answers = vi.spyOn(nativeClient().KafkaConsumer.prototype, 'unassign')
  onTestFinished(() => void vi.restoreAllMocks())
  const told = vi.fn()
  const woken = vi.fn()
  const events = { assigned: told, revoked: told, wake: woken, throttled: () => {}, error: () => {} }
  const consumer = new GroupConsumer({ ...settings, 'group.id': 'group' }, events)
  await consumer.connect([topic])
  await vi.waitFor(() => expect(woken).toHaveBeenCalled(), 20_000)
  await consumer.close()
  expect(answers).toHaveBeenCalled()
  expect(lost).not.toHaveBeenCalled()
  expect(told).not.toHaveBeenCalled()
  await expect(consumer.seek([{ topic, partition: 0, offset: 0 }])).rejects.toMatchObject({ code: codes.wrongState })
})
