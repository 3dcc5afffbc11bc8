import { firstValueFrom, lastValueFrom, Subject, type Subscription } from 'rxjs'
import { afterAll, beforeAll } from 'vitest'
import { kafka } from '../../src/connectors/kafka.js'
import { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { KafkaProducer, type OutgoingMessage } from '../../src/kafka/producer.js'
import {
  type Assigned,
  type AssignmentChange,
  type Epoch,
  type Keeps,
  noHeaders,
  type Position,
  type Revoked,
  type SinkContext,
  type SinkTask,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  silentLogger,
  systemClock,
  type TopicChange,
} from '../../src/model/index.js'
import { kafkaSink } from '../../src/sinks/kafka.js'
import { kafkaSource } from '../../src/sources/kafka.js'
import { MarbleTime } from '../../src/testing/marble-time.js'

let named = 0

/** A name that no other test uses. */
export const fresh = (what: string) => `${what}-${process.pid}-${Date.now().toString(36)}-${named++}`

export function connect(brokers: string, more: object = {}): KafkaConnection {
  const { definition } = kafka
  const context = {
    app: 'test',
    name: 'kafka',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '.',
  }
  return definition.open(definition.options.parse({ brokers, ...more }), context)
}

/** A server for the tests of a file or a part of it, and a connection to it; both are there when a test begins. */
export function sharedServer<S extends { readonly bootstrap: string; close(): Promise<void> }>(
  start: () => Promise<S>,
  skip = false,
): { readonly server: S; readonly connection: KafkaConnection } {
  const shared = {} as { server: S; connection: KafkaConnection }
  beforeAll(async () => {
    if (skip) return
    shared.server = await start()
    shared.connection = connect(shared.server.bootstrap)
  })
  afterAll(async () => {
    await shared.connection?.close()
    await shared.server?.close()
  })
  return shared
}

function stageContext(connection: KafkaConnection) {
  return {
    keeps: 'nothing' as Keeps,
    noticed: (_change: TopicChange) => undefined,
    app: 'test',
    flow: 'flow',
    stage: 'stage',
    clock: systemClock,
    log: silentLogger,
    connection: () => connection as never,
    instance: undefined,
    http: undefined as never,
    store: undefined as never,
    views: undefined as never,
    reject: undefined as never,
  }
}

export function sourceOf(
  connection: KafkaConnection,
  options: object,
  context: Partial<SourceContext> = {},
): SourceTask<Buffer | null> {
  const all = { ...stageContext(connection), ...context }
  return kafkaSource.build(kafkaSource.options.parse(options), all) as SourceTask<Buffer | null>
}

export function sinkOf(
  connection: KafkaConnection,
  options: object,
  rejected: unknown[] = [],
  more: Partial<Pick<SinkContext, 'replays' | 'reject'>> = {},
): SinkTask {
  const context = {
    ...stageContext(connection),
    reject: (record: StreamRecord, error: unknown) => void rejected.push({ record, error }),
    transaction: () => undefined,
    time: new MarbleTime(),
    dataDirectory: '.',
    ...more,
  }
  return kafkaSink.build(kafkaSink.options.parse(options), context)
}

export function recordOf(value: unknown, key: string | null = null, more: Partial<StreamRecord> = {}): StreamRecord {
  const origin = more.origin ?? { topic: 'made', partition: 0, offset: -1 }
  return new StreamRecord(key, value, more.timestamp ?? Date.now(), more.headers ?? noHeaders, origin)
}

/** An epoch that ends after so many records, or when it is cut. */
export class TestEpoch implements Epoch {
  readonly number = 1
  /** Whether it was told that there is nothing more to read. */
  hasAll = false
  readonly cut$ = new Subject<void>()
  private left: number

  constructor(records: number) {
    this.left = records
  }

  room(): number {
    return this.left
  }

  take(records: number): void {
    this.left -= records
  }

  caughtUp(): void {
    this.hasAll = true
  }

  cut(): void {
    this.left = 0
    this.cut$.next()
  }
}

/** A member of a group that does what it is told, as the engine would. */
export class Member {
  readonly changes: AssignmentChange[] = []
  readonly records: StreamRecord<Buffer | null>[] = []
  error: unknown
  /** What `assigned` and `revoked` are answered with. */
  answer = true
  private readonly changed = new Subject<void>()
  private readonly subscription: Subscription

  constructor(
    readonly task: SourceTask<Buffer | null>,
    private readonly from: readonly Position[] = [],
  ) {
    this.subscription = task.assignments$.subscribe({
      next: (change) => {
        this.changes.push(change)
        if (this.answer) void this.reply(change)
        this.changed.next()
      },
      error: (error: unknown) => {
        this.error = error
        this.changed.next()
      },
    })
  }

  async reply(change: AssignmentChange): Promise<void> {
    const answer$ = change.kind === 'assigned' ? change.start(this.from) : change.release()
    await lastValueFrom(answer$, { defaultValue: undefined }).catch((error) => {
      this.error = error
    })
    this.changed.next()
  }

  get assigned(): Assigned[] {
    return this.changes.filter((change) => change.kind === 'assigned')
  }

  get revoked(): Revoked[] {
    return this.changes.filter((change) => change.kind === 'revoked')
  }

  /** Reads one epoch; it is cut after a time without the records it wants, and when the member fails. */
  async read(records: number, cutAfterMs = 60_000): Promise<StreamRecord<Buffer | null>[]> {
    const epoch = new TestEpoch(records)
    const read: StreamRecord<Buffer | null>[] = []
    const timer = setTimeout(() => epoch.cut(), cutAfterMs)
    const failing = this.changed.subscribe(() => void (this.error !== undefined && epoch.cut()))
    await new Promise<void>((resolve, reject) => {
      this.task.read(epoch).subscribe({ next: (record) => read.push(record), complete: resolve, error: reject })
    })
    clearTimeout(timer)
    failing.unsubscribe()
    this.records.push(...read)
    return read
  }

  async rewind(positions: readonly Position[]): Promise<void> {
    await lastValueFrom(this.task.rewind(positions, new Error('made')), { defaultValue: undefined })
  }

  async commit(positions = this.task.positions()): Promise<void> {
    await lastValueFrom(this.task.commit(positions), { defaultValue: undefined })
  }

  ends() {
    return firstValueFrom(this.task.ends())
  }

  /** How many partitions it has now. */
  get partitions(): number {
    return this.task.positions().length
  }

  async until(condition: () => boolean, what: string, ms = 90_000): Promise<void> {
    const deadline = Date.now() + ms
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain until ${what}; error: ${String(this.error)}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  leave(): void {
    this.subscription.unsubscribe()
  }
}

/** Makes a topic. Returns its name. */
export async function makeTopic(
  connection: KafkaConnection,
  topic: string,
  { partitions = 1, config }: { partitions?: number; config?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const request = { topic, partitions, create: true, doing: 'making', place: {}, ...(config && { config }) } as const
  await connection.topics.ensure({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
  return topic
}

/** Writes values to a topic, in one epoch. */
export async function writeTo(connection: KafkaConnection, topic: string, values: readonly unknown[]): Promise<void> {
  const sink = sinkOf(connection, { topic })
  await openSink(sink)
  await writeAll(
    sink,
    values.map((value) => recordOf(value)),
  )
  sink.close?.().subscribe()
}

/** Writes messages as they are. */
export async function produceAll(connection: KafkaConnection, messages: readonly OutgoingMessage[]): Promise<void> {
  const options = { deliveryTimeoutMs: 10_000, compression: 'none', lingerMs: 0, singly: false } as const
  const refused = (_: unknown, error: unknown) => {
    throw error as Error
  }
  const producer = new KafkaProducer(await connection.settings(), options, { refused })
  await producer.connect()
  for (const message of messages) producer.produce(message, undefined)
  await producer.flush()
  await producer.close()
}

/** All values of a topic of one partition that are committed by now, as text. */
export async function valuesOf(connection: KafkaConnection, topic: string): Promise<readonly string[]> {
  const reader = new LogReader({ ...(await connection.settings()), 'client.id': 'observer' })
  await reader.connect()
  const log = { topic, partition: 0, offset: 0 }
  reader.assign([log])
  const values: string[] = []
  await reader.read(
    ({ value }) => values.push(String(value)),
    () => reader.hasEnded(log),
  )
  await reader.close()
  return values
}

/** Runs one epoch of a sink. */
export async function writeAll(sink: SinkTask, records: Iterable<StreamRecord>): Promise<void> {
  const { from } = await import('rxjs')
  await lastValueFrom(sink.write(from([...records])), { defaultValue: undefined })
}

export async function openSink(sink: SinkTask): Promise<void> {
  if (sink.open !== undefined) await lastValueFrom(sink.open(), { defaultValue: undefined })
}

export const text = (record: StreamRecord<Buffer | null>) => record.value?.toString() ?? null
