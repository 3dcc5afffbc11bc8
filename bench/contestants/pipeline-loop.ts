/** The floor of the pipeline: reads and parses by hand, a COPY for each batch and the positions in its transaction. No schemas. */
import kafkaClient from '@confluentinc/kafka-javascript'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { report } from '../support/report.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', DATABASE = '' } = process.env
const total = Number(EVENTS)
const rowsPerBatch = 5_000
const columns = 'event_id, event_type, user_id, occurred_at, payload, topic, partition, kafka_offset'

interface Event {
  readonly eventId: string
  readonly eventType: string
  readonly userId: number
  readonly timestamp: string
}

const client = new pg.Client({ connectionString: DATABASE })
await client.connect()
await client.query('create table pipeline.positions (partition int primary key, position bigint)')

const consumer = new kafkaClient.KafkaConsumer(
  { 'bootstrap.servers': BROKERS, 'group.id': `pipeline-${RUN}`, 'enable.auto.commit': false },
  { 'auto.offset.reset': 'earliest' },
)
consumer.setDefaultConsumeTimeout(50)
;(
  consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void }
).setDefaultIsTimeoutOnlyForFirstMessage(true)
await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
consumer.subscribe([TOPIC])

let read = 0
let began = 0
let lines: string[] = []
const next = new Map<number, number>()
const special = /[\\\n\r\t]/g
const escaped = (text: string) => text.replace(special, (found) => `\\${found}`)

while (read < total) {
  for (const { value, partition, offset } of await consume()) {
    if (began === 0) began = performance.now()
    const text = value?.toString() ?? ''
    const { eventId, eventType, userId, timestamp } = JSON.parse(text) as Event
    lines.push(
      `${escaped(eventId)}\t${escaped(eventType)}\t${userId}\t${timestamp}\t${escaped(text)}\t${TOPIC}\t${partition}\t${offset}\n`,
    )
    next.set(partition, offset + 1)
    read++
  }
  if (lines.length >= rowsPerBatch || read >= total) await write()
}
report({ recordsPerSecond: Math.round((total / (performance.now() - began)) * 1_000) })
process.exit(0)

function consume(): Promise<{ value: Buffer | null; partition: number; offset: number }[]> {
  return new Promise((resolve, reject) => {
    consumer.consume(1_000, (error, messages) => (error ? reject(error) : resolve(messages)))
  })
}

async function write(): Promise<void> {
  await client.query('begin')
  const copy = client.query(copyFrom(`copy pipeline.events (${columns}) from stdin`))
  await new Promise<void>((resolve, reject) => {
    copy.on('finish', resolve)
    copy.on('error', reject)
    copy.end(lines.join(''))
  })
  for (const [partition, position] of next) {
    await client.query(
      `insert into pipeline.positions values ($1, $2) on conflict (partition) do update set position = excluded.position`,
      [partition, position],
    )
  }
  await client.query('commit')
  lines = []
}
