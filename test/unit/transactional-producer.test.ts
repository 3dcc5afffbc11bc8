import { expect, onTestFinished, test, vi } from 'vitest'
import { codes } from '../../src/kafka/client.js'
import { KafkaProducer } from '../../src/kafka/producer.js'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.js'

/** A producer whose brokers answer so when its transactions are begun with, one after the other; then with success. */
function answered(...errors: readonly number[]) {
  vi.spyOn(KafkaProducer.prototype, 'connect').mockResolvedValue()
  onTestFinished(() => void vi.restoreAllMocks())
  const producer = new TransactionalProducer({ 'metadata.broker.list': '127.0.0.1:1', log_level: 0 }, 'id')
  onTestFinished(() => producer.close())
  const left = [...errors]
  const asked = vi.fn((_: number, done: (error: unknown) => void) => {
    const code = left.shift()
    setImmediate(() => done(code === undefined ? null : Object.assign(new Error('no'), { code })))
  })
  const { client } = producer as unknown as { client: { initTransactions: typeof asked } }
  client.initTransactions = asked
  return { producer, asked }
}

const passing = [codes.notCoordinator, codes.coordinatorLoading, codes.coordinatorUnavailable]

test('a coordinator that the brokers have not agreed on yet is waited for', async () => {
  const { producer, asked } = answered(...passing)
  await producer.init()
  expect(asked).toHaveBeenCalledTimes(4)
  expect(producer.failure).toBeUndefined()
})

test('what does not pass by itself is told at once', async () => {
  const { producer, asked } = answered(codes.clusterRefused)
  await expect(producer.init()).rejects.toMatchObject({ code: codes.clusterRefused })
  expect(asked).toHaveBeenCalledTimes(1)
})

test('who is closed meanwhile asks no more', async () => {
  const { producer, asked } = answered(...Array.from({ length: 1_000 }, () => codes.notCoordinator))
  const ended = expect(producer.init()).rejects.toThrow()
  await vi.waitFor(() => expect(asked).toHaveBeenCalled())
  await Promise.all([producer.close(), ended])
  expect(asked.mock.calls.length).toBeLessThan(5)
})
