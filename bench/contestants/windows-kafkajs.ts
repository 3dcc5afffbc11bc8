/** The same by hand over kafkajs, a client that is JavaScript throughout. */
import { Kafka, logLevel } from 'kafkajs'
import { WindowCounts } from '../support/window-counts.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '' } = process.env
const total = Number(EVENTS)

const counts = new WindowCounts()
const kafka = new Kafka({ brokers: BROKERS.split(','), clientId: `kafkajs-${RUN}`, logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: `kafkajs-${RUN}` })
let read = 0

await consumer.connect()
await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
await consumer.run({
  autoCommitThreshold: 20_000,
  partitionsConsumedConcurrently: 3,
  eachBatch: ({ batch }) => {
    counts.begin()
    for (const { value } of batch.messages) counts.count(value?.toString() ?? '')
    read += batch.messages.length
    if (read < total) return Promise.resolve()
    counts.finish(read)
    process.exit(0)
  },
})
