import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { compile, type Engine, type Flow } from '../../src/engine/index.js'
import { aggregate, collect, flow, json, type KafkaSinkOptions, kafka, keyBy } from '../../src/index.js'
import type { Message } from '../../src/kafka/client.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import type { Header } from '../../src/model/index.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer, writeTo } from './kafka-support.js'

type Bytes = Buffer | null
type Sink = KafkaSinkOptions<Bytes>

/** Ten of each kind stand between good ones. */
const bad = 10
const good = 20
const hour = 3_600_000
/** Nothing that compression makes small. */
const random = (bytes: number) => randomBytes(bytes).toString('base64').slice(0, bytes)
const large = random(1_048_400)
const half = 'half a pair: \uD800'

const fail = (what: string): never => {
  throw new Error(`no ${what}`)
}
const circle: Record<string, unknown> = {}
circle['of'] = circle

/** What one part of a message can be so that there can be none, as the function of the sink gives it. */
type Made = Partial<Record<'topic' | 'key' | 'value' | 'headers' | 'timestamp', () => unknown>>

const names: Readonly<Record<string, Made>> = {
  'a topic function that throws': { topic: () => fail('topic') },
  'a topic that is no text': { topic: () => 7 },
  'no topic': { topic: () => undefined },
  'a topic without a name': { topic: () => '' },
  'a topic named .': { topic: () => '.' },
  'a topic named ..': { topic: () => '..' },
  'a name of 250 characters': { topic: () => 't'.repeat(250) },
  'a name with a space': { topic: () => 'a b' },
  'a name with other letters': { topic: () => 'a/ü' },
  'a name with the character 0': { topic: () => 'a\0' },
  'a topic of the brokers': { topic: () => '__consumer_offsets' },
}

const parts: Readonly<Record<string, Made>> = {
  'a key function that throws': { key: () => fail('key') },
  'a key that is an object': { key: () => ({ a: 1 }) },
  'a key that is a number': { key: () => 7 },
  'a key that is a bigint': { key: () => 7n },
  'a key that is a symbol': { key: () => Symbol('key') },
  'a key that is a promise': { key: () => Promise.resolve('key') },
  'a key that is half a pair': { key: () => half },
  'a value function that throws': { value: () => fail('value') },
  'a value that throws what has no text': { value: () => throwing() },
  'a value of a function': { value: () => () => 1 },
  'a value of a symbol': { value: () => Symbol('value') },
  'a value that contains itself': { value: () => circle },
  'a value whose toJSON throws': { value: () => ({ toJSON: () => fail('JSON') }) },
  'a value that is no date': { value: () => new Date(Number.NaN) },
  'a value that is no number': { value: () => Number.NaN },
  'a value that is a Map': { value: () => new Map([[1, 2]]) },
  'a value that is a promise': { value: () => Promise.resolve(1) },
  'a text that is half a pair': { value: () => half },
  'a value that nests beyond the stack': { value: () => JSON.parse(`${'['.repeat(9_000)}${']'.repeat(9_000)}`) },
  'more than the client takes': { value: () => Buffer.alloc(95_000_000) },
  'a header that is null': { headers: () => [{ is: null }] },
  'a header that is a number': { headers: () => [{ is: 7 }] },
  'a header that is half a pair': { headers: () => [{ is: half }] },
  'a header named by half a pair': { headers: () => [{ [half]: 'is' }] },
  'a header without a name': { headers: () => [{ '': 'is' }] },
  'headers that are none': { headers: () => 'no' },
  'headers that are an object': { headers: () => ({ is: 'text' }) },
  'a time that is none': { timestamp: () => Number.NaN },
  'a time that is a date': { timestamp: () => new Date() },
  'a time beyond all dates': { timestamp: () => 2 ** 60 },
}

function throwing(): never {
  throw Object.create(null)
}

/** What only the broker refuses; `config` is that of the topic. */
interface Refused {
  readonly config?: Readonly<Record<string, string>>
  readonly sink: (topic: string) => Sink
}

const isBad = (value: Bytes) => value?.toString().startsWith('bad') === true

const refused: Readonly<Record<string, Refused>> = {
  'a topic that is not there': {
    sink: (topic) => ({ topic: (v) => (isBad(v) ? `${topic}.not` : topic), create: false }),
  },
  'no key for a compacted topic': {
    config: { 'cleanup.policy': 'compact' },
    sink: (topic) => ({ topic, key: (v) => (isBad(v) ? null : String(v)) }),
  },
  'more than the topic takes': { sink: (topic) => ({ topic, value: (v) => (isBad(v) ? random(1_060_000) : v) }) },
  'more than a small topic takes': {
    config: { 'max.message.bytes': '2000' },
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? random(3_000) : v) }),
  },
  'headers of the sink that make it too large': {
    sink: (topic) => ({ topic, value: (v) => (isBad(v) ? large : v), headers: () => [{ more: 'x'.repeat(500) }] }),
  },
  'a time that is hours ahead': {
    sink: (topic) => ({ topic, timestamp: (v, { timestamp }) => (isBad(v) ? Date.now() + 5 * hour : timestamp) }),
  },
}

/** The sink of a flow whose bad records say by number which of these kinds they are. */
function madeBy(kinds: readonly Made[], topic: string): Sink {
  const isNaming = kinds.some((kind) => kind.topic !== undefined)
  const of = (part: keyof Made, usual: (value: Bytes, timestamp: number) => unknown) => {
    return (value: Bytes, { timestamp }: { timestamp: number }) => {
      const [, index] = /^bad (\d+) /.exec(String(value)) ?? []
      const made = index === undefined ? undefined : kinds[Number(index)]?.[part]
      return (made === undefined ? usual(value, timestamp) : made()) as never
    }
  }
  return {
    topic: isNaming ? of('topic', () => topic) : topic,
    key: of('key', () => 'key'),
    value: of('value', (value) => value),
    headers: of('headers', () => []),
    timestamp: of('timestamp', (_, timestamp) => timestamp),
  }
}

/** A flow from one topic to another, ten records of each kind of which can't be written. */
interface Case {
  readonly kinds: readonly string[]
  readonly name: string
  readonly source: string
  readonly target: string
  readonly letters: string
  readonly config: Readonly<Record<string, string>>
  readonly declared: Flow
}

const guarantees = ['at-least-once', 'exactly-once'] as const

function casesOf(guarantee: (typeof guarantees)[number]): Case[] {
  const asked = guarantee === 'exactly-once' ? { guarantee, checkpoints: 'kafka' } : {}
  const one = (kinds: readonly string[], sink: (topic: string) => Sink, config = {}): Case => {
    const [source, target, letters] = [fresh('source'), fresh('target'), fresh('letters')]
    const copies = flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink<Bytes>(sink(target)))
    const declared = copies.with({ attempts: 3, deadLetters: letters, ...asked })
    return { name: fresh('copies'), kinds, source, target, letters, config, declared }
  }
  return [
    ...[names, parts].map((made) => one(Object.keys(made), (topic) => madeBy(Object.values(made), topic))),
    ...Object.entries(refused).map(([kind, { sink, config }]) => one([kind], sink, config)),
  ]
}

const goods = Array.from({ length: 2 * good }, (_, index) => `good ${index}`)
const badOf = (kind: number) => Array.from({ length: bad }, (_, index) => `bad ${kind} ${index}`)

describe.skipIf(requireKafka() !== undefined)("a record's fault on Apache Kafka", () => {
  const shared = sharedServer(() => KafkaCluster.start())
  const cases = new Map(guarantees.map((guarantee) => [guarantee, casesOf(guarantee)]))
  const all = [...cases.values()].flat()
  /** What has come, by topic and value. */
  const come = new Map<string, Map<string, Message>>()
  let engine: Engine

  const make = (topic: string, config?: Readonly<Record<string, string>>) =>
    makeTopic(shared.connection, topic, config && { config })
  const write = (topic: string, values: readonly unknown[]) => writeTo(shared.connection, topic, values)

  /** Takes in what comes to these topics, until `end`. */
  async function follow(topics: readonly string[]) {
    const reader = new LogReader(await shared.connection.settings())
    await reader.connect()
    reader.assign(topics.map((topic) => ({ topic, partition: 0, offset: 0 })))
    let isOver = false
    const reading = (async () => {
      while (!isOver)
        for (const message of await reader.poll()) {
          if (!come.has(message.topic)) come.set(message.topic, new Map())
          come.get(message.topic)?.set(String(message.value), message)
        }
      await reader.close()
    })()
    return () => {
      isOver = true
      return reading
    }
  }

  const seen = (topic: string) => new Set(come.get(topic)?.keys())
  const waitFor = (isTrue: () => void) => vi.waitFor(isTrue, { timeout: 90_000, interval: 100 })

  // All flows run beside each other, for they wait most of the time.
  beforeAll(async () => {
    const ends: (() => Promise<unknown>)[] = []
    await Promise.all(
      all.flatMap(({ source, target, letters, config }) => [make(source), make(letters), make(target, config)]),
    )
    for (const { source, kinds } of all)
      await write(source, [...goods.slice(0, good), ...kinds.flatMap((_, kind) => badOf(kind)), ...goods.slice(good)])
    const connections = { kafka: kafka({ brokers: shared.server.bootstrap }) }
    const flows = Object.fromEntries(all.map(({ name, declared }) => [name, declared]))
    const topology = compile({ app: 'faults', connections, flows }, { environment: {} })
    engine = runningEngine(topology, (stop) => ends.push(stop)).engine
    ends.push(await follow(all.flatMap(({ target, letters }) => [target, letters])))
    return () => Promise.all(ends.map((end) => end()))
  }, 300_000)

  describe.each(guarantees)('%s', (guarantee) => {
    test.each((cases.get(guarantee) ?? []).flatMap((one) => one.kinds.map((kind, index) => ({ ...one, kind, index }))))(
      '$kind does not end a flow',
      async ({ name, source, target, letters, index }) => {
        const status = () => engine.status().find(({ flow }) => flow === name)
        await waitFor(() => {
          const said = JSON.stringify(status()?.error)
          expect([...seen(letters)], said).toEqual(expect.arrayContaining(badOf(index)))
          expect(seen(target), said).toEqual(new Set(goods))
        })
        for (const value of badOf(index))
          expect(headerOf(come.get(letters)?.get(value), '__connect.errors.topic')).toBe(source)
        expect(status()?.state).not.toBe('failed')
      },
    )
  })

  // What is too large for one message goes in pieces, and those fit.
  test.each([
    ['as Weir makes them', undefined],
    ['that take little', { 'max.message.bytes': '40000' }],
  ])('what a topic holds goes into checkpoints and by internal topics %s, however large it is', async (_, config) => {
    const [source, target, name] = [fresh('source'), fresh('target'), fresh('large')]
    await make(source, { 'max.message.bytes': '9000000' })
    await make(target)
    if (config !== undefined) await make(`faults.${name}.sizes.repartition`, config)
    const keys = ['small', random(600_000), random(2_000_000)]
    const values = [random(10), random(1_000_000), random(3_000_000)]
    const pairs = keys.flatMap((key) => values.map((value) => [key, value] as const))
    await write(source, pairs)
    const declared = flow(
      kafka.source({ topic: source, from: 'earliest' }),
      json<[string, string]>(),
      keyBy(([key]) => key),
      aggregate('sizes', { of: collect(([, value]: [string, string]) => value, { max: 5 }), emit: 'epoch' }),
      kafka.sink({
        topic: target,
        key: () => null,
        value: ({ key, value }) => [String(key).length, ...value.map(({ length }) => length)].join(),
      }),
    ).with({ checkpoints: 'kafka', epoch: { every: '1s' } })
    const connections = { kafka: kafka({ brokers: shared.server.bootstrap }) }
    const { engine: other } = runningEngine(
      compile({ app: 'faults', connections, flows: { [name]: declared } }, { environment: {} }),
    )
    const stop = await follow([target])
    onTestFinished(() => stop())
    const whole = keys.map(({ length }) => [length, ...values.map((value) => value.length)].join())
    await waitFor(() =>
      expect([...seen(target)], JSON.stringify(other.status())).toEqual(expect.arrayContaining(whole)),
    )
  })
})

function headerOf(message: Message | undefined, name: string): string | undefined {
  const header = (message?.headers as Header[] | undefined)?.find((one) => name in one)
  return header?.[name]?.toString()
}
