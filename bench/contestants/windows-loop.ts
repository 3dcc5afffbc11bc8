/** The floor: what one writes by hand over the same client. It counts the same windows and keeps no durable state. */
import kafkaClient from '@confluentinc/kafka-javascript'
import { report } from '../support/report.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '' } = process.env
const total = Number(EVENTS)
const windowMs = 10_000

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

const windows = new Map<number, { users: Set<string>; views: number }>()
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
let began = 0
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
    if (messages.length > 0 && began === 0) began = performance.now()
    for (const message of messages) {
      const activity = JSON.parse(message.value?.toString() ?? '') as Activity
      count(activity)
      next.set(message.partition, message.offset + 1)
    }
    read += messages.length
    uncommitted += messages.length
    if (uncommitted >= 20_000 || read >= total) commit()
    if (read < total) turn()
    else finish()
  })
}

function count({ timestamp, user_id, activity_type }: Activity): void {
  const start = Math.floor(Date.parse(timestamp) / windowMs) * windowMs
  let window = windows.get(start)
  if (window === undefined) windows.set(start, (window = { users: new Set(), views: 0 }))
  window.users.add(user_id)
  if (activity_type === 'page_view') window.views++
}

function commit(): void {
  uncommitted = 0
  consumer.commit([...next].map(([partition, offset]) => ({ topic: TOPIC, partition, offset })))
}

function finish(): void {
  const ms = performance.now() - began
  let users = 0
  let views = 0
  for (const window of windows.values()) {
    users += window.users.size
    views += window.views
  }
  report({ recordsPerSecond: Math.round((total / ms) * 1_000), windows: windows.size, users, views })
  process.exit(0)
}
