/** The floor: what one writes by hand over the same client. It counts the same windows and keeps no durable state. */
import kafkaClient from '@confluentinc/kafka-javascript'
import { WindowCounts } from '../support/window-counts.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '' } = process.env
const total = Number(EVENTS)

const counts = new WindowCounts()
const consumer = new kafkaClient.KafkaConsumer(
  {
    'bootstrap.servers': BROKERS,
    'group.id': `loop-${RUN}`,
    'partition.assignment.strategy': 'cooperative-sticky',
    'enable.auto.commit': false,
  },
  { 'auto.offset.reset': 'earliest' },
)
let read = 0
let uncommitted = 0
const next = new Map<number, number>()

consumer.setDefaultConsumeTimeout(50)
;(
  consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void }
).setDefaultIsTimeoutOnlyForFirstMessage(true)
consumer.connect({}, (error) => {
  if (error) throw new Error(error.message)
  consumer.subscribe([TOPIC])
  turn()
})

function turn(): void {
  consumer.consume(1_000, (error, messages) => {
    if (error) throw new Error(error.message)
    if (messages.length > 0) counts.begin()
    for (const message of messages) {
      counts.count(message.value?.toString() ?? '')
      next.set(message.partition, message.offset + 1)
    }
    read += messages.length
    uncommitted += messages.length
    if (uncommitted >= 20_000 || read >= total) commit()
    if (read < total) turn()
    else finish()
  })
}

function commit(): void {
  uncommitted = 0
  consumer.commit([...next].map(([partition, offset]) => ({ topic: TOPIC, partition, offset })))
}

function finish(): void {
  counts.finish(total)
  process.exit(0)
}
