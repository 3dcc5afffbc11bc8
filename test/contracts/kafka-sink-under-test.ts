import { EMPTY, lastValueFrom } from 'rxjs'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { fresh, openSink, sinkOf } from '../servers/kafka-support.js'
import { Rejecting } from './rejecting.js'
import { type Item, oddItems, type TriedSink } from './sinks.contract.js'

/** Items in a topic of one partition, for the sink contract; they are read by a connection that nobody holds up. */
export async function kafkaSinkUnderTest(connection: KafkaConnection, reading: KafkaConnection): Promise<TriedSink> {
  const topic = fresh('items')
  const rejecting = new Rejecting()
  const key = ({ id }: Item) => (id === null || typeof id === 'number' ? String(id) : id)
  const options = { topic, partitions: 1, key, value: ({ text }: Item) => text, deliveryTimeout: '3s' }
  const sink = sinkOf(connection, options, rejecting.rejected, { reject: rejecting.reject })
  await openSink(sink)
  let from = 0
  const ends = async () => (await reading.topics.offsets([{ topic, partition: 0 }], 'latest'))[0]?.offset ?? 0
  return {
    reset: async () => {
      rejecting.forget()
      from = await ends()
    },
    epoch: (records$) => sink.write(records$),
    written: async () => {
      const reader = new LogReader(await reading.settings())
      const items = new Map<number, Item>()
      try {
        await reader.connect()
        reader.assign([{ topic, partition: 0, offset: from }])
        await reader.read(
          ({ key, value }) => items.set(Number(key), { id: Number(key), text: String(value) }),
          () => reader.hasEnded({ topic, partition: 0 }),
        )
      } finally {
        await reader.close()
      }
      return [...items.values()]
    },
    rejecting,
    rejected: rejecting.rejected,
    bad: { id: -1, text: 'half \uD800' },
    odd: oddItems,
    close: async () => {
      await lastValueFrom(sink.close?.() ?? EMPTY, { defaultValue: undefined })
    },
  }
}
