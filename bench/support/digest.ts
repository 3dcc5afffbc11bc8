import { createHash } from 'node:crypto'
import kafkaClient from '@confluentinc/kafka-javascript'
import { call } from './load.js'

type Consumer = InstanceType<typeof kafkaClient.KafkaConsumer>

/** Reads all of a topic's committed messages: how many there are, and a sum that is the same in whatever order. */
export async function digestOf(brokers: string, topic: string): Promise<string> {
  const consumer = new kafkaClient.KafkaConsumer(
    {
      'bootstrap.servers': brokers,
      'group.id': `digest-${topic}`,
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'isolation.level': 'read_committed',
    },
    { 'auto.offset.reset': 'earliest' },
  )
  await call((done) => consumer.connect({}, done))
  const partitions = [0, 1, 2]
  const ends = await Promise.all(partitions.map((partition) => endOf(consumer, topic, partition)))
  const reached = partitions.map(() => 0)
  consumer.on('partition.eof', ({ partition, offset }) => (reached[partition] = offset))
  consumer.setDefaultConsumeTimeout(50)
  consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })))
  let count = 0
  let sum = 0n
  // The end that readers see may come later than the commit: until the brokers have marked the transaction as over.
  for (let isOver = false; !isOver; ) {
    const messages = await consume(consumer)
    for (const { key, value } of messages) {
      const bytes = createHash('md5')
        .update(`${String(key)} ${String(value)}`)
        .digest()
      sum = BigInt.asUintN(64, sum + bytes.readBigUInt64LE())
    }
    count += messages.length
    isOver = messages.length === 0 && partitions.every((partition) => reached[partition]! >= ends[partition]!)
  }
  await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
  return `${count} results, ${sum.toString(16)}`
}

function endOf(consumer: Consumer, topic: string, partition: number): Promise<number> {
  return new Promise((resolve, reject) =>
    consumer.queryWatermarkOffsets(topic, partition, 10_000, (error, { highOffset }) =>
      error ? reject(error) : resolve(highOffset),
    ),
  )
}

function consume(consumer: Consumer) {
  return new Promise<{ key?: unknown; value: Buffer | null }[]>((resolve, reject) =>
    consumer.consume(5_000, (error, messages) => (error ? reject(error) : resolve(messages))),
  )
}
