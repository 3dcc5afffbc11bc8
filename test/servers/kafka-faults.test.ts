import { randomBytes } from 'node:crypto'
import { EMPTY } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, Engine, type Flow, type FlowStatus } from '../../src/engine/index.js'
import { flow, type KafkaSinkOptions, kafka } from '../../src/index.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { headerOf, type StreamRecord, silentLogger, systemClock } from '../../src/model/index.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, openSink, recordOf, sinkOf, sourceOf, text, writeAll } from './kafka-support.js'

type Bytes = Buffer | null
type Sink = KafkaSinkOptions<Bytes>

/** Ten of each kind stand between good ones. */
const bad = 10
const hour = 3_600_000
/** Nothing that compression makes small. */
const random = (bytes: number) => randomBytes(bytes).toString('base64').slice(0, bytes)
const large = random(1_048_400)

/** What a record can be so that it can't be written; `config` is that of the topic. */
interface Kind {
  readonly name: string
  readonly config?: Readonly<Record<string, string>>
  /** The options of the sink; `bad` is told by the value. */
  readonly sink: (topic: string) => Sink
  /** Whether it is found out only when it is sent. */
  readonly byBroker?: boolean
}

const isBad = (value: Bytes) => value?.toString().startsWith('bad') === true
const fail = (what: string): never => {
  throw new Error(`no ${what}`)
}

const kinds: readonly Kind[] = [
  { name: 'a topic function that throws', sink: (topic) => ({ topic: (v) => (isBad(v) ? fail('topic') : topic) }) },
  { name: 'a name that is none', sink: (topic) => ({ topic: (v) => (isBad(v) ? 'a b/ü' : topic) }) },
  { name: 'a topic that is no text', sink: (topic) => ({ topic: (v) => (isBad(v) ? (7 as never) : topic) }) },
  {
    name: 'a topic of the brokers',
    byBroker: true,
    sink: (topic) => ({ topic: (v) => (isBad(v) ? '__consumer_offsets' : topic) }),
  },
  {
    name: 'a topic that is not there',
    sink: (topic) => ({ topic: (v) => (isBad(v) ? `${topic}.not` : topic), create: false }),
  },
  { name: 'a key function that throws', sink: (topic) => ({ topic, key: (v) => (isBad(v) ? fail('key') : 'k') }) },
  { name: 'a key that is none', sink: (topic) => ({ topic, key: (v) => (isBad(v) ? ({ a: 1 } as never) : 'k') }) },
  {
    name: 'no key for a compacted topic',
    byBroker: true,
    config: { 'cleanup.policy': 'compact' },
    sink: (topic) => ({ topic, key: (v) => (isBad(v) ? null : String(v)) }),
  },
  { name: 'a value that JSON has not', sink: (topic) => ({ topic, value: (v) => (isBad(v) ? () => v : v) }) },
  {
    name: 'a value that nests beyond the stack',
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? JSON.parse(`${'['.repeat(9_000)}${']'.repeat(9_000)}`) : v) }),
  },
  { name: 'a value of a function', sink: (topic) => ({ topic, value: (v) => (isBad(v) ? () => 1 : v) }) },
  {
    name: 'more than the topic takes',
    byBroker: true,
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? random(1_060_000) : v) }),
  },
  {
    name: 'more than a small topic takes',
    byBroker: true,
    config: { 'max.message.bytes': '2000' },
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? random(3_000) : v) }),
  },
  {
    name: 'headers of the sink that make it too large',
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? large : v), headers: () => [{ more: 'x'.repeat(500) }] }),
  },
  {
    name: 'a header that is null',
    sink: (topic) => ({ topic, headers: (v) => [{ is: isBad(v) ? (null as never) : 'text' }] }),
  },
  { name: 'headers that are none', sink: (topic) => ({ topic, headers: (v) => (isBad(v) ? ('no' as never) : []) }) },
  {
    name: 'a time that is hours ahead',
    byBroker: true,
    sink: (topic) => ({ topic, timestamp: (v, { timestamp }) => (isBad(v) ? Date.now() + 5 * hour : timestamp) }),
  },
  {
    name: 'a time that is none',
    sink: (topic) => ({ topic, timestamp: (v, { timestamp }) => (isBad(v) ? Number.NaN : timestamp) }),
  },
]

const missing = requireKafka()

describe.skipIf(missing !== undefined)(
  "a record's fault on Apache Kafka",
  { timeout: 90_000, concurrent: true },
  () => {
    let cluster: KafkaCluster
    let connection: KafkaConnection

    beforeAll(async () => {
      cluster = await KafkaCluster.start()
      connection = connect(cluster.bootstrap)
    }, 240_000)

    afterAll(async () => {
      await connection?.close()
      await cluster?.close()
    })

    async function make(topic: string, config: Readonly<Record<string, string>> = {}): Promise<string> {
      const request = {
        topic,
        partitions: 1,
        create: true,
        doing: 'making',
        unreachable: 'WEIR_SINK_UNREACHABLE',
      } as const
      await connection.topics.ensure({ ...request, place: {}, config })
      return topic
    }

    /** Reads until so many different values have come: at least once, some come twice. */
    async function read(topic: string, count: number): Promise<Map<string | null, StreamRecord<Bytes>>> {
      const member = new Member(sourceOf(connection, { topic, group: fresh('group') }))
      const read = new Map<string | null, StreamRecord<Bytes>>()
      const until = Date.now() + 40_000
      try {
        await member.until(() => member.partitions > 0, 'partitions are assigned')
        while (read.size < count && Date.now() < until)
          for (const record of await member.read(100, 500)) read.set(text(record), record)
        return read
      } finally {
        member.leave()
      }
    }

    async function running(declared: Flow, look: (status: () => FlowStatus | undefined) => Promise<void>) {
      const topology = compile(
        { app: 'faults', connections: { kafka: kafka({ brokers: cluster.bootstrap }) }, flows: { f: declared } },
        { environment: {} },
      )
      const engine = new Engine(topology, {
        clock: systemClock,
        log: silentLogger,
        http: { serve: () => EMPTY },
        production: false,
        dataDirectory: '.',
      })
      const run = engine.run().subscribe()
      try {
        await look(() => engine.status()[0])
      } finally {
        run.unsubscribe()
        await engine.close()
      }
    }

    for (const guarantee of ['at-least-once', 'exactly-once'] as const) {
      // What is refused before it is sent is refused alike in a transaction.
      const tried = guarantee === 'exactly-once' ? kinds.filter(({ byBroker }) => byBroker) : kinds
      test.each(tried)(`$name does not end a flow, ${guarantee}`, async ({ config, sink }) => {
        const [source, target, letters] = await Promise.all([
          make(fresh('source')),
          make(fresh('target'), config),
          make(fresh('letters')),
        ])
        const feed = sinkOf(connection, { topic: source })
        await openSink(feed)
        const good = (from: number) => Array.from({ length: 20 }, (_, index) => recordOf(`good ${from + index}`))
        const all = [...good(0), ...Array.from({ length: bad }, (_, index) => recordOf(`bad ${index}`)), ...good(20)]
        await writeAll(feed, all)
        const asked = guarantee === 'exactly-once' ? { guarantee, checkpoints: 'kafka' } : {}
        const copies = flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink<Bytes>(sink(target)))
        const declared = copies.with({ attempts: 3, deadLetters: letters, ...asked })
        await running(declared, async (status) => {
          const dead = await read(letters, bad)
          const said = JSON.stringify(status()?.error)
          expect(new Set(dead.keys()), said).toEqual(new Set(all.slice(20, 20 + bad).map(({ value }) => value)))
          for (const { headers } of dead.values()) expect(headerOf(headers, '__connect.errors.topic')).toBe(source)
          const goods = new Set([...good(0), ...good(20)].map(({ value }) => value))
          expect(new Set((await read(target, 40)).keys()), said).toEqual(goods)
          expect(status()?.state).not.toBe('failed')
        })
      })
    }
  },
)
