/** The same with hyparquet-writer: a file for every so many events of a partition, whose position it then commits. */
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs'
import kafkaClient from '@confluentinc/kafka-javascript'
import { parquetWriteFile } from 'hyparquet-writer'
import { call } from '../support/load.js'
import { report } from '../support/report.js'
import { zstdSync } from '../support/zstd-sync.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', FILES = '', ROWS_PER_FILE = '0' } = process.env
const total = Number(EVENTS)
const rowsPerFile = Number(ROWS_PER_FILE)

interface Event {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  readonly time?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly data?: unknown
}

interface Message {
  readonly value: Buffer | null
  readonly key?: Buffer | string | null | undefined
  readonly partition: number
  readonly offset: number
  readonly timestamp?: number
}

const consumer = new kafkaClient.KafkaConsumer(
  { 'bootstrap.servers': BROKERS, 'group.id': `archive-loop-${RUN}`, 'enable.auto.commit': false },
  { 'auto.offset.reset': 'earliest' },
)
consumer.setDefaultConsumeTimeout(50)
;(
  consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void }
).setDefaultIsTimeoutOnlyForFirstMessage(true)
await call((done) => consumer.connect({}, done))
consumer.subscribe([TOPIC])
const compressors = { ZSTD: await zstdSync() }

/** The columns of a file of one partition. */
class Columns {
  readonly id: string[] = []
  readonly source: string[] = []
  readonly type: string[] = []
  readonly subject: (string | undefined)[] = []
  readonly time: (Date | undefined)[] = []
  readonly datacontenttype: (string | undefined)[] = []
  readonly dataschema: (string | undefined)[] = []
  readonly data: string[] = []
  readonly offset: bigint[] = []
  readonly timestamp: Date[] = []
  readonly key: (Uint8Array | undefined)[] = []

  constructor(private readonly partition: number) {}

  add({ value, key, offset, timestamp = -1 }: Message): void {
    const event = JSON.parse(value?.toString() ?? '') as Event
    this.id.push(event.id)
    this.source.push(event.source)
    this.type.push(event.type)
    this.subject.push(event.subject)
    this.time.push(event.time === undefined ? undefined : new Date(event.time))
    this.datacontenttype.push(event.datacontenttype)
    this.dataschema.push(event.dataschema)
    this.data.push(JSON.stringify(event.data))
    this.offset.push(BigInt(offset))
    this.timestamp.push(new Date(timestamp))
    this.key.push(typeof key === 'string' ? Buffer.from(key) : (key ?? undefined))
  }

  get rows(): number {
    return this.id.length
  }

  write(): void {
    const { partition, offset, rows } = this
    const path = `${FILES}/${TOPIC}_${partition}_${offset[0]}.parquet`
    parquetWriteFile({
      filename: `${path}.part`,
      codec: 'ZSTD',
      compressors,
      rowGroupSize: rowsPerFile,
      columnData: [
        // Nothing repeats in these, and to find that out takes time.
        { name: 'id', data: this.id, type: 'STRING', nullable: false, encoding: 'PLAIN' },
        { name: 'source', data: this.source, type: 'STRING', nullable: false },
        { name: 'type', data: this.type, type: 'STRING', nullable: false },
        { name: 'subject', data: this.subject, type: 'STRING' },
        { name: 'time', data: this.time, type: 'TIMESTAMP', encoding: 'PLAIN' },
        { name: 'datacontenttype', data: this.datacontenttype, type: 'STRING' },
        { name: 'dataschema', data: this.dataschema, type: 'STRING' },
        { name: 'data', data: this.data, type: 'STRING', encoding: 'PLAIN' },
        { name: 'kafka_topic', data: new Array(rows).fill(TOPIC), type: 'STRING', nullable: false },
        { name: 'kafka_partition', data: new Int32Array(rows).fill(partition), type: 'INT32', nullable: false },
        { name: 'kafka_offset', data: offset, type: 'INT64', nullable: false, encoding: 'PLAIN' },
        { name: 'kafka_timestamp', data: this.timestamp, type: 'TIMESTAMP', encoding: 'PLAIN' },
        { name: 'kafka_key', data: this.key, type: 'BYTE_ARRAY', encoding: 'PLAIN' },
      ],
    })
    const file = openSync(`${path}.part`, 'r')
    fsyncSync(file)
    closeSync(file)
    renameSync(`${path}.part`, path)
    consumer.commitSync({ topic: TOPIC, partition, offset: Number(offset.at(-1)) + 1 })
  }
}

const open = new Map<number, Columns>()
let read = 0
let began = 0

while (read < total) {
  for (const message of await consume()) {
    if (began === 0) began = performance.now()
    const { partition } = message
    let columns = open.get(partition)
    if (columns === undefined) open.set(partition, (columns = new Columns(partition)))
    columns.add(message)
    if (columns.rows === rowsPerFile) {
      columns.write()
      open.delete(partition)
    }
    read++
  }
}
for (const columns of open.values()) columns.write()
report({ recordsPerSecond: Math.round((total / (performance.now() - began)) * 1_000) })
process.exit(0)

function consume(): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    consumer.consume(1_000, (error, messages) => (error ? reject(error) : resolve(messages)))
  })
}
