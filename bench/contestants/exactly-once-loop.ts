/**
 * The floor: counts in memory and writes results with an ordinary producer. When it dies, counts are lost, and results
 * are written twice.
 */
import kafkaClient from '@confluentinc/kafka-javascript'
import { call } from '../support/load.js'
import { report } from '../support/report.js'

const { BROKERS = '', TOPIC = '', RESULTS = '', EVENTS = '0', RUN = '' } = process.env
const total = Number(EVENTS)
const windowMs = 10_000
const outOfOrderMs = 5_000
const commitEveryMs = 1_000

interface Activity {
  readonly user_id: string
  readonly timestamp: string
}

/** What is counted of one partition: each user lies in one. */
class Counts {
  private readonly windows = new Map<number, Map<string, number>>()
  private latest = Number.NEGATIVE_INFINITY

  add(user: string, time: number): void {
    if (time > this.latest) this.latest = time
    const start = Math.floor(time / windowMs) * windowMs
    let counts = this.windows.get(start)
    if (counts === undefined) this.windows.set(start, (counts = new Map()))
    counts.set(user, (counts.get(user) ?? 0) + 1)
  }

  close(write: (user: string, text: string) => void): void {
    for (const [start, counts] of this.windows) {
      if (start + windowMs > this.latest - outOfOrderMs) continue
      const window = { start: new Date(start).toISOString(), end: new Date(start + windowMs).toISOString() }
      for (const [key, value] of counts) write(key, JSON.stringify({ key, window, value }))
      this.windows.delete(start)
    }
  }
}

const consumer = new kafkaClient.KafkaConsumer(
  {
    'bootstrap.servers': BROKERS,
    'group.id': `loop-${RUN}`,
    'partition.assignment.strategy': 'cooperative-sticky',
    'enable.auto.commit': false,
  },
  { 'auto.offset.reset': 'earliest' },
)
const producer = new kafkaClient.Producer({
  'bootstrap.servers': BROKERS,
  'queue.buffering.max.messages': 1_000_000,
  // The partitions of the flow, so that both write the same topic.
  partitioner: 'murmur2_random',
})
await call((done) => producer.connect({}, done))
producer.setPollInterval(100)
consumer.setDefaultConsumeTimeout(50)
;(
  consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void }
).setDefaultIsTimeoutOnlyForFirstMessage(true)
await call((done) => consumer.connect({}, done))
consumer.subscribe([TOPIC])

const partitions = new Map<number, Counts>()
const next = new Map<number, number>()
let read = 0
let results = 0
let began = 0
let committedAt = 0

while (read < total) {
  for (const { value, partition, offset } of await consume()) {
    if (began === 0) began = committedAt = performance.now()
    const { user_id, timestamp } = JSON.parse(value?.toString() ?? '') as Activity
    let counts = partitions.get(partition)
    if (counts === undefined) partitions.set(partition, (counts = new Counts()))
    counts.add(user_id, Date.parse(timestamp))
    next.set(partition, offset + 1)
    read++
  }
  for (const counts of partitions.values()) counts.close(write)
  if (read >= total || performance.now() - committedAt >= commitEveryMs) await commit()
}
report({ recordsPerSecond: Math.round((total / (performance.now() - began)) * 1_000), results })
process.exit(0)

function consume(): Promise<{ value: Buffer | null; partition: number; offset: number }[]> {
  return new Promise((resolve, reject) => {
    consumer.consume(1_000, (error, messages) => (error ? reject(error) : resolve(messages)))
  })
}

function write(user: string, text: string): void {
  producer.produce(RESULTS, null, Buffer.from(text), user)
  results++
}

async function commit(): Promise<void> {
  if (began === 0) return
  await call((done) => producer.flush(60_000, done))
  consumer.commitSync([...next].map(([partition, offset]) => ({ topic: TOPIC, partition, offset })))
  committedAt = performance.now()
}
