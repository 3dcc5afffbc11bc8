import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, vi } from 'vitest'
import { silentLogger, systemClock } from '../../src/model/index.js'
import type { BlobStore } from '../../src/sinks/archive/blob-store.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { placeOf } from '../../src/sinks/archive/path.js'
import { names, read } from '../contracts/blob-stores.contract.js'
import type { DuckDb } from '../support/duckdb.js'
import { flooding, Worker } from './exactly-once-support.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'

const script = fileURLToPath(new URL('archive-process.ts', import.meta.url))

interface ArchiveOptions {
  readonly brokers: string
  readonly duckdb: DuckDb
  readonly partitions: number
  /** Of the store, as the test gets to it; a folder of the test's own if not given. */
  readonly store?: object
  /** What comes with each event. */
  text?(): string
}

/** A topic of events, the processes that archive it, and the store that they do it in. */
export class Archive {
  readonly name = fresh('archive')
  readonly folder = mkdtempSync(join(tmpdir(), 'weir-archive-'))
  sent = 0
  private readonly options: object
  readonly store: BlobStore
  private readonly fetched = new Map<string, string>()

  constructor(private readonly given: ArchiveOptions) {
    this.options = given.store ?? { backend: 'file', path: join(this.folder, 'files') }
    this.store = openStore(storeOptions.parse(this.options), { clock: systemClock, log: silentLogger })
    onTestFinished(() => {
      this.store.close().subscribe()
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /** `through` is the way to the store, if it is another. */
  start(more: Readonly<Record<string, string>> = {}, through = this.options): Worker {
    const environment = {
      BROKERS: this.given.brokers,
      APP: this.name,
      IN: this.name,
      STORE: JSON.stringify(through),
      DATA: this.folder,
      // Its warning of older versions of Node is no word of an archive's.
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      ...more,
    }
    return new Worker(environment, script)
  }

  async send(events: number): Promise<void> {
    const { brokers, partitions, text = () => 'x'.repeat(100) } = this.given
    const connection = connect(brokers)
    const sink = sinkOf(connection, { topic: this.name, partitions })
    await openSink(sink)
    const records = Array.from({ length: events }, () => {
      const id = `e${this.sent++}`
      const event = { specversion: '1.0', id, source: '/test', type: 'made', data: { id, text: text() } }
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

  /** How many events are in files: rows, events, and places in the topic. */
  async counted(): Promise<readonly number[]> {
    const files = await this.files()
    if (files.size === 0) return [0, 0, 0]
    const [row = {}] = await this.given.duckdb.query<Record<string, number>>(`
      select count(*)::int as rows, count(distinct id)::int as ids,
        count(distinct (kafka_partition, kafka_offset))::int as places
      from read_parquet([${[...files.values()].map((path) => `'${path}'`).join()}])`)
    return [row['rows'], row['ids'], row['places']].map(Number)
  }

  /** Waits until all that was sent is there, and then a while for what may still come twice. */
  async settle(timeout = 240_000): Promise<void> {
    await vi.waitFor(async () => expect((await this.counted())[1]).toBe(this.sent), { timeout, interval: 500 })
    await sleep(2_000)
    expect(await this.counted()).toEqual([this.sent, this.sent, this.sent])
    for (const [name, path] of await this.files()) {
      const place = placeOf(name)
      const [row = {}] = await this.given.duckdb.query<Record<string, number>>(`
        select count(*)::int as rows, min(kafka_offset)::int as first from '${path}'`)
      expect([name, row]).toEqual([name, { rows: place?.records, first: place?.first }])
    }
  }

  /** All files by their names in the store, and where they can be read: they never change. */
  private async files(): Promise<ReadonlyMap<string, string>> {
    for (const name of await names(this.store, this.name)) {
      if (this.fetched.has(name)) continue
      const path = join(this.folder, 'fetched', name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, await read(this.store, name))
      this.fetched.set(name, path)
    }
    return this.fetched
  }
}
