import kafkaClient from '@confluentinc/kafka-javascript'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { call } from './load.js'

const rowsPerBatch = 5_000

interface Copied {
  readonly brokers: string
  readonly topic: string
  readonly group: string
  readonly database: string
  /** So many are there to be read. */
  readonly events: number
  /** A table, with its columns in brackets where not all of them are written. */
  readonly into: string
  /** The table of positions, which is made. */
  readonly positions: string
  /** What is run before. */
  readonly create?: string
  /** A row of it, as COPY takes it. */
  line(text: string, partition: number, offset: number): string
}

/**
 * The floor of what writes rows: reads and inserts by hand, a COPY for each batch and the positions in its transaction. Returns
 * how many it has read a second.
 */
export async function copyByHand({ brokers, topic, group, database, events, into, positions, create, line }: Copied) {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  if (create !== undefined) await client.query(create)
  await client.query(`create table ${positions} (partition int primary key, position bigint)`)

  const consumer = new kafkaClient.KafkaConsumer(
    { 'bootstrap.servers': brokers, 'group.id': group, 'enable.auto.commit': false },
    { 'auto.offset.reset': 'earliest' },
  )
  consumer.setDefaultConsumeTimeout(50)
  ;(
    consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void }
  ).setDefaultIsTimeoutOnlyForFirstMessage(true)
  await call((done) => consumer.connect({}, done))
  consumer.subscribe([topic])
  const consume = () =>
    new Promise<{ value: Buffer | null; partition: number; offset: number }[]>((resolve, reject) => {
      consumer.consume(1_000, (error, messages) => (error ? reject(error) : resolve(messages)))
    })

  let read = 0
  let began = 0
  let lines: string[] = []
  const next = new Map<number, number>()
  const write = async () => {
    await client.query('begin')
    const copy = client.query(copyFrom(`copy ${into} from stdin`))
    await new Promise<void>((resolve, reject) => {
      copy.on('finish', resolve)
      copy.on('error', reject)
      copy.end(lines.join(''))
    })
    for (const [partition, position] of next) {
      await client.query(
        `insert into ${positions} values ($1, $2) on conflict (partition) do update set position = excluded.position`,
        [partition, position],
      )
    }
    await client.query('commit')
    lines = []
  }

  while (read < events) {
    for (const { value, partition, offset } of await consume()) {
      if (began === 0) began = performance.now()
      lines.push(line(value?.toString() ?? '', partition, offset))
      next.set(partition, offset + 1)
      read++
    }
    if (lines.length >= rowsPerBatch || read >= events) await write()
  }
  return Math.round((events / (performance.now() - began)) * 1_000)
}
