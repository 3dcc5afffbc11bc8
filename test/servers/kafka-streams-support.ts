import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { count } from '../../src/aggregates/index.js'
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import { compile } from '../../src/engine/index.js'
import type { Message } from '../../src/kafka/client.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import type { Duration } from '../../src/model/index.js'
import { aggregate, recordKey } from '../../src/operators/aggregate.js'
import { eventTime } from '../../src/operators/event-time.js'
import { json } from '../../src/operators/json.js'
import { keyBy } from '../../src/operators/key-by.js'
import { hopping, tumbling } from '../../src/operators/windows.js'
import { windowed } from '../../src/testing/index.js'
import { letterPlace, writeTopic } from '../support/job-truth.js'
import { runningEngine } from '../support/running-engine.js'
import { GroupProgress } from './group-progress.js'
import { StreamsApp } from './kafka-streams-app.js'
import { connect, fresh, openSink, sinkOf } from './kafka-support.js'

/** An event, `time` in ms. Keys have a partition each. */
export interface Visit {
  readonly partition: number
  readonly key: string | null
  readonly time: number
  readonly page?: string
}

interface VisitValue {
  readonly timestamp: string
  readonly page: string
}

/** Windows, as both are told of them. */
export interface Windows {
  readonly sizeMs: number
  readonly advanceMs?: number
  /** How late a record may be after the end of its window. */
  readonly graceMs: number
  /** The part of it that is out-of-orderness to Weir; all of it, if nothing is said. */
  readonly outOfOrderMs?: number
}

interface Comparison extends Windows {
  readonly partitions: number
  /** Whether records are grouped by their page, and not by their key. */
  readonly byPage?: boolean
}

interface Running<Told> {
  readonly end: () => Promise<Told>
}

/** A topic of visits, and what Weir and Kafka Streams make of it on the same broker. */
export class SameTopic {
  readonly name = fresh('visits')
  readonly visits: Visit[] = []
  private readonly groups = new Map<string, GroupProgress>()
  private readonly logs = new Map<string, { readonly reader: LogReader; readonly messages: Message[] }>()

  private constructor(
    private readonly brokers: string,
    private readonly connection: KafkaConnection,
    private readonly comparison: Comparison,
  ) {}

  static async create(brokers: string, comparison: Comparison): Promise<SameTopic> {
    const connection = connect(brokers)
    const topic = new SameTopic(brokers, connection, comparison)
    onTestFinished(async () => {
      await Promise.all([...topic.groups.values()].map((progress) => progress.close()))
      await Promise.all([...topic.logs.values()].map(({ reader }) => reader.close()))
      await connection.close()
    })
    await topic.ensure(topic.name)
    return topic
  }

  /** Starts Kafka Streams; it ends with the test, or before. Ending it tells how many records it dropped. */
  async startStreams(): Promise<Running<number>> {
    await this.ensure(this.resultsOf('streams'))
    const { name: topic, comparison } = this
    const by = comparison.byPage === true ? 'page' : undefined
    const job = { ...comparison, id: this.groupOf('streams'), topic, results: this.resultsOf('streams'), by }
    const app = await StreamsApp.start(this.brokers, job, { settings })
    let ended: Promise<number> | undefined
    const end = () => (ended ??= app.end())
    onTestFinished(async () => void (await end()))
    return { end }
  }

  /** Starts a flow; it ends with the test, or before. */
  async startWeir(name = 'weir', idleAfter: Duration = '1h'): Promise<Running<void>> {
    await this.ensure(this.resultsOf(name))
    const { sizeMs, advanceMs, graceMs, outOfOrderMs = graceMs, byPage = false } = this.comparison
    const grace = graceMs - outOfOrderMs
    const window =
      advanceMs === undefined ? tumbling(sizeMs, { grace }) : hopping(sizeMs, { advance: advanceMs, grace })
    const source = kafka.source({ topic: this.name, group: this.groupOf(name) })
    const time = eventTime(({ timestamp }: VisitValue) => timestamp, { outOfOrder: outOfOrderMs, idleAfter })
    const counts = aggregate('counts', { by: recordKey, window, late: 'dead-letter', of: count() })
    const results = kafka.sink({ topic: this.resultsOf(name) })
    const declared = byPage
      ? flow(
          source,
          json<VisitValue>(),
          time,
          keyBy(({ page }) => page),
          counts,
          results,
        )
      : flow(source, json<VisitValue>(), time, counts, results)
    const config = {
      app: this.groupOf(name),
      connections: { kafka: kafka({ brokers: this.brokers }) },
      flows: { visits: declared.with({ checkpoints: 'kafka', epoch: { every: '50ms' } }) },
    }
    const { engine, running } = runningEngine(compile(config, { environment: {} }))
    const ended = new Promise<void>((resolve) => running.add(resolve))
    return { end: () => (engine.stop(), ended) }
  }

  /** Appends visits to the topic. */
  async write(visits: readonly Visit[]): Promise<void> {
    this.visits.push(...visits)
    const records = visits.map(({ partition, key, time, page = '' }) => {
      const value: VisitValue = { timestamp: new Date(time).toISOString(), page }
      return { partition, key, value: JSON.stringify(value) }
    })
    await writeTopic(this.brokers, this.name, records)
  }

  /** Resolves when all that was written is committed: by these, or by both. */
  async isRead(...by: readonly string[]): Promise<void> {
    for (const name of by.length === 0 ? ['weir', 'streams'] : by) {
      await this.isCommitted(this.groupOf(name), this.name)
      // Weir's flows tell each other of more than records; when their results are out is for them to say.
      if (name === 'streams' && this.comparison.byPage === true)
        await this.isCommitted(this.groupOf(name), `${this.groupOf(name)}-by-page-repartition`)
    }
  }

  /** The results that are out, in the order of time and key: as often as they are. */
  async told(by: string): Promise<string[]> {
    const messages = await this.read(this.resultsOf(by), this.comparison.partitions)
    return messages.map(({ value }) => resultOf(JSON.parse(String(value)))).sort()
  }

  /** What should be out, by a plain model: each partition has a time of its own, unless keys come from several. */
  expected(): string[] {
    const { partitions, byPage = false } = this.comparison
    const all = this.visits.map((visit) => ({
      ...visit,
      offset: -1,
      topic: this.name,
      timestamp: visit.time,
      value: visit,
    }))
    const apart = Array.from({ length: partitions }, (_, index) => all.filter(({ partition }) => partition === index))
    const model = windowed<Visit, number>({
      ...this.comparison,
      outOfOrderMs: 0,
      by: ({ key, page }) => (byPage ? page : key) as string,
      result: (visits) => visits.length,
    })
    return (byPage ? [all] : apart)
      .flatMap((input) => [...model.expected(input as never)])
      .map(({ id, value }) => `${id}: ${String(value)}`)
      .sort()
  }

  /** `partition@offset` of the records that Weir has told to be late. */
  async late(): Promise<string[]> {
    const letters = await this.read(`${this.groupOf('weir')}.visits.dead-letters`, 1)
    return letters.map(letterPlace).sort()
  }

  private async ensure(topic: string): Promise<void> {
    const { partitions } = this.comparison
    await openSink(sinkOf(this.connection, { topic, partitions }))
  }

  private groupOf(name: string): string {
    return `${this.name}.${name}`
  }

  private resultsOf(name: string): string {
    return `${this.name}.${name}.results`
  }

  /** All that is in a topic by now; what was read before is not read again. Nobody writes transactions there. */
  private async read(topic: string, partitions: number): Promise<readonly Message[]> {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 }))
    let log = this.logs.get(topic)
    if (log === undefined) {
      log = { reader: new LogReader({ 'metadata.broker.list': this.brokers }), messages: [] }
      this.logs.set(topic, log)
      await log.reader.connect()
      log.reader.assign(all)
    }
    const { reader, messages } = log
    const ends = await this.connection.topics.offsets(all, 'latest')
    const written = ends.reduce((sum, { offset }) => sum + offset, 0)
    await reader.read(
      (message) => messages.push(message),
      () => messages.length >= written,
    )
    return messages
  }

  private async isCommitted(group: string, topic: string): Promise<void> {
    let progress = this.groups.get(group)
    if (progress === undefined) this.groups.set(group, (progress = await GroupProgress.of(this.brokers, group)))
    for (const deadline = Date.now() + 120_000; ; await sleep(10)) {
      const behind = await progress.behind(topic, this.comparison.partitions)
      if (behind === 0) return
      if (Date.now() > deadline) throw new Error(`${group} does not read ${topic}: it is ${behind} records behind`)
    }
  }
}

/** Of Kafka Streams. A member with a name takes its place again after a restart, at once. */
const settings = {
  'commit.interval.ms': 50,
  'group.instance.id': 'one',
  'dsl.store.suppliers.class': 'org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers',
}

interface Result {
  readonly key: string | null
  readonly window: { readonly start: string }
  readonly value: number
}

/** A result in words, as `expected` has it. */
function resultOf({ key, window, value }: Result): string {
  const { id } = windowed({ sizeMs: 1, result: () => 0 }).identify({
    key,
    window: { start: new Date(window.start) },
    value,
  })
  return `${id}: ${value}`
}
