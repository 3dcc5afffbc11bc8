import kafkaClient from '@confluentinc/kafka-javascript'
import { eventText } from './events.js'

/** Creates a topic of three partitions and fills it with events, keyed by user. */
export async function loadTopic(brokers: string, topic: string, events: number, perSecond: number): Promise<void> {
  await createTopic(brokers, topic)
  const producer = new kafkaClient.Producer({
    'bootstrap.servers': brokers,
    'enable.idempotence': true,
    'linger.ms': 20,
    'queue.buffering.max.messages': 200_000,
    'compression.type': 'none',
  })
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
  producer.setPollInterval(10)
  for (let index = 0; index < events; index++) {
    const text = eventText(index, perSecond)
    while (!sent(() => producer.produce(topic, null, Buffer.from(text), text.slice(12, 24)))) await pause(20)
  }
  await new Promise<void>((resolve, reject) => producer.flush(60_000, (error) => (error ? reject(error) : resolve())))
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
}

export async function createTopic(brokers: string, topic: string): Promise<void> {
  const admin = kafkaClient.AdminClient.create({ 'bootstrap.servers': brokers })
  await new Promise<void>((resolve, reject) =>
    admin.createTopic({ topic, num_partitions: 3, replication_factor: 1 }, (error) =>
      error ? reject(error) : resolve(),
    ),
  )
  admin.disconnect()
}

function sent(produce: () => unknown): boolean {
  try {
    produce()
    return true
  } catch {
    return false
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
