import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { placeOf } from '../../src/sinks/archive/path.js'
import { DuckDb } from '../support/duckdb.js'
import { flooding, Worker } from './exactly-once-support.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'

const missing = requireKafka()
const because = missing === undefined ? '' : ` (${missing})`
const script = fileURLToPath(new URL('archive-process.ts', import.meta.url))
const partitions = 3

/** A topic of events, the processes that archive it, and the folder that they do it in. */
class Archive {
  readonly name = fresh('archive')
  readonly folder = mkdtempSync(join(tmpdir(), 'weir-archive-'))
  sent = 0

  constructor(
    private readonly brokers: string,
    private readonly duckdb: DuckDb,
  ) {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  get files(): string {
    return join(this.folder, 'files')
  }

  start(more: Readonly<Record<string, string>> = {}): Worker {
    const store = JSON.stringify({ backend: 'file', path: this.files })
    const environment = {
      BROKERS: this.brokers,
      APP: this.name,
      IN: this.name,
      STORE: store,
      DATA: this.folder,
      ...more,
    }
    return new Worker(environment, script)
  }

  async send(events: number): Promise<void> {
    const connection = connect(this.brokers)
    const sink = sinkOf(connection, { topic: this.name, partitions })
    await openSink(sink)
    const records = Array.from({ length: events }, () => {
      const id = `e${this.sent++}`
      const event = { specversion: '1.0', id, source: '/test', type: 'made', data: { id, text: 'x'.repeat(100) } }
      return recordOf(JSON.stringify(event), `k${this.sent % 20}`, { timestamp: Date.now() })
    })
    await writeAll(sink, records)
    sink.close?.().subscribe()
    await connection.close()
  }

  /** Sends without end, until it is called back. */
  flood(): () => Promise<void> {
    return flooding(() => this.send(150), 50)
  }

  names(): string[] {
    return readdirSync(this.files, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.parquet'))
  }

  /** How many events are in files: rows, events, and places in the topic. */
  async counted(): Promise<readonly number[]> {
    if (this.names().length === 0) return [0, 0, 0]
    const [row = {}] = await this.duckdb.query<Record<string, number>>(`
      select count(*)::int as rows, count(distinct id)::int as ids,
        count(distinct (kafka_partition, kafka_offset))::int as places
      from '${this.files}/**/*.parquet'`)
    return [row['rows'], row['ids'], row['places']].map(Number)
  }

  /** Waits until all that was sent is there, and then a while for what may still come twice. */
  async settle(): Promise<void> {
    await vi.waitFor(async () => expect((await this.counted())[1]).toBe(this.sent), { timeout: 60_000, interval: 500 })
    await sleep(2_000)
    expect(await this.counted()).toEqual([this.sent, this.sent, this.sent])
    for (const name of this.names()) {
      const place = placeOf(name)
      const [row = {}] = await this.duckdb.query<Record<string, number>>(`
        select count(*)::int as rows, min(kafka_offset)::int as first from '${join(this.files, name)}'`)
      expect([name, row]).toEqual([name, { rows: place?.records, first: place?.first }])
    }
  }
}

describe.skipIf(missing !== undefined)(`an archive of a real topic${because}`, { timeout: 120_000 }, () => {
  let cluster: KafkaCluster
  let duckdb: DuckDb
  beforeAll(async () => {
    ;[cluster, duckdb] = await Promise.all([KafkaCluster.start(), DuckDb.start()])
  })
  afterAll(async () => {
    duckdb?.close()
    await cluster?.close()
  })

  test('each event is in one file, while processes are killed with files half written', async () => {
    const archive = new Archive(cluster.bootstrap, duckdb)
    await archive.send(300)
    const stop = archive.flood()
    for (let killed = 0; killed < 4; killed++) {
      const worker = archive.start()
      await worker.working(4)
      await sleep(Math.random() * 1_500)
      await worker.kill()
    }
    await stop()
    archive.start()
    await archive.settle()
  })

  test('each event is in one file, while one process sleeps, another takes over, and the first wakes up', async () => {
    const archive = new Archive(cluster.bootstrap, duckdb)
    await archive.send(300)
    const stop = archive.flood()
    const sleeper = archive.start()
    await sleeper.working(4)
    for (let slept = 0; slept < 2; slept++) {
      sleeper.signal('SIGSTOP')
      const heir = archive.start()
      await heir.working(4)
      sleeper.signal('SIGCONT')
      await heir.working(4)
      heir.signal('SIGTERM')
      await heir.exited
    }
    await stop()
    await archive.settle()
  })

  test('who is told to stop leaves no event behind that it has read', async () => {
    const archive = new Archive(cluster.bootstrap, duckdb)
    await archive.send(700)
    const worker = archive.start({ EVERY: '3600000' })
    await worker.working(4)
    await sleep(2_000)
    worker.signal('SIGTERM')
    await worker.exited
    expect(await archive.counted()).toEqual([700, 700, 700])
    archive.start({ EVERY: '1000' })
    await archive.send(10)
    await archive.settle()
  })
})
