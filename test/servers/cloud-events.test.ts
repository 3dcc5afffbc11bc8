import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { cloudEvents, flow, http, kafka, keyBy } from '../../src/index.js'
import type { Message } from '../../src/kafka/client.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { type Header, silentLogger } from '../../src/model/index.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'
import { batched, ceHeaders, least, structured } from '../support/cloudevents.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, openSink, recordOf, sharedServer, sinkOf, writeAll } from './kafka-support.js'

const skip = requireKafka() !== undefined
const brokers = [
  {
    name: 'the embedded broker',
    skip: false,
    start: () => Promise.resolve({ bootstrap: 'embedded', close: () => Promise.resolve() }),
  },
  { name: 'Apache Kafka', skip, start: () => KafkaCluster.start() },
]

const json = (members: object = {}) => JSON.stringify({ ...least, ...members })
const exact = '{"n":12345678901234567890,"n":1.0}'

/** What is in a topic, and what came of it. */
const sent: readonly { readonly value: Buffer | null; readonly headers: readonly Header[] }[] = [
  { value: Buffer.from(json({ id: 'structured' }).replace('}', `,"data":${exact}}`)), headers: structured },
  { value: Buffer.from(exact), headers: ceHeaders({ ...least, id: 'binary', subject: 'ä' }, 'application/json') },
  { value: null, headers: ceHeaders({ ...least, id: 'nothing' }, 'application/json') },
  {
    value: Buffer.from(`[${json({ id: 'one' })},${json({ id: '' })},${json({ id: 'two', data: 2 })}]`),
    headers: batched,
  },
  { value: Buffer.from(json({ specversion: '0.3', source: 'a b' })), headers: structured },
  { value: Buffer.from('no JSON'), headers: structured },
  { value: null, headers: [] },
  { value: Buffer.from(json({ id: 'plain' })), headers: [] },
]

describe.each(brokers)('CloudEvents on $name', ({ name, start, skip }) => {
  const shared = sharedServer(start, skip)

  const make = (topic: string) => makeTopic(shared.connection, topic)

  async function read(topic: string, many: number): Promise<Message[]> {
    const reader = new LogReader(await shared.connection.settings())
    await reader.connect()
    const found: Message[] = []
    // The embedded broker makes four partitions, and a key is in one of them.
    const partitions = name === 'Apache Kafka' ? [0] : [0, 1, 2, 3]
    reader.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })))
    while (found.length < many) found.push(...(await reader.poll()))
    await reader.close()
    return found
  }

  const headersOf = ({ headers }: Message) =>
    Object.assign(
      {},
      ...((headers ?? []) as object[]).map((header) =>
        Object.fromEntries(Object.entries(header).map(([name, value]) => [name, String(value)])),
      ),
    ) as Record<string, string>

  test.skipIf(skip)(
    'are read, written in the other mode, and what is none is a dead letter with every fault',
    async () => {
      const [source, target, letters] = [
        await make(fresh('events')),
        await make(fresh('copies')),
        await make(fresh('letters')),
      ]
      const feed = sinkOf(shared.connection, { topic: source })
      await openSink(feed)
      await writeAll(
        feed,
        sent.map(({ value, headers }) => recordOf(value, 'k', { headers })),
      )
      feed.close?.().subscribe()
      const brokers = await shared.connection.bootstrap()
      const copying = flow(
        kafka.source({ topic: source, from: 'earliest', group: fresh('group') }),
        cloudEvents.decode({ data: 'raw' }),
        cloudEvents.encode({ mode: 'binary', data: 'raw' }),
        kafka.sink({ topic: target }),
      ).with({ deadLetters: letters })
      runningEngine(compile({ connections: { kafka: kafka({ brokers }) }, flows: { copying } }, { environment: {} }))
      const copies = await read(target, 6)
      expect(copies.map((message) => [headersOf(message)['ce_id'], message.value?.toString() ?? null])).toEqual([
        ['structured', exact],
        ['binary', exact],
        ['nothing', null],
        ['one', null],
        ['two', '2'],
        ['plain', null],
      ])
      expect(headersOf(copies[1] as Message)).toMatchObject(
        Object.assign({}, ...ceHeaders({ ...least, id: 'binary', subject: 'ä' }, 'application/json')),
      )
      const dead = await read(letters, 4)
      const reason = '__connect.errors.exception.message'
      expect(
        dead.map((letter) => [
          letter.value?.toString() ?? null,
          headersOf(letter)['weir.error.code'],
          headersOf(letter)[reason],
        ]),
      ).toEqual([
        [
          json({ id: '' }),
          'WEIR_RECORD_NO_CLOUDEVENT',
          expect.stringMatching(/^reading a CloudEvent: id: expected a text that is not empty, .+ got ""$/),
        ],
        [
          json({ specversion: '0.3', source: 'a b' }),
          'WEIR_RECORD_NO_CLOUDEVENT',
          'reading a CloudEvent: source: expected a URI-reference that is not empty, got "a b"; specversion: expected "1.0", for no other version is read, got "0.3"',
        ],
        ['no JSON', 'WEIR_RECORD_MALFORMED', 'reading a CloudEvent: expected a value at byte 0, got "n"'],
        [null, 'WEIR_RECORD_MALFORMED', 'reading a CloudEvent: the value is null (a tombstone)'],
      ])
      expect(headersOf(dead[0] as Message)['content-type']).toBe('application/cloudevents+json')
    },
  )

  test.skipIf(skip)('come over HTTP, and those that are none are told', async () => {
    const [target, letters] = [await make(fresh('posted')), await make(fresh('letters'))]
    const server = new WorkerHttpServer(silentLogger)
    onTestFinished(() => server.close())
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
    const taking = flow(
      http.cloudEvents('/events', { data: 'raw' }),
      keyBy(() => 'k'),
      cloudEvents.encode({ data: 'raw' }),
      kafka.sink({ topic: target }),
    ).with({ deadLetters: letters })
    const brokers = await shared.connection.bootstrap()
    const topology = compile({ connections: { kafka: kafka({ brokers }) }, flows: { taking } }, { environment: {} })
    runningEngine(topology, onTestFinished, { http: server })
    const post = async (body: string, headers: Record<string, string>) => {
      const response = await fetch(`http://127.0.0.1:${port}/events`, { method: 'POST', body, headers })
      return [response.status, (await response.json()) as Record<string, unknown>] as const
    }
    const whole = { 'content-type': 'application/cloudevents+json' }
    await vi.waitFor(async () => expect(await post(json({ id: 'first' }), whole)).toEqual([202, { accepted: 1 }]), {
      timeout: 60_000,
      interval: 200,
    })
    const headers = {
      'ce-id': '%C3%A4',
      'ce-source': '/s',
      'ce-specversion': '1.0',
      'ce-type': 't',
      'content-type': 'application/json',
    }
    expect(await post(exact, headers)).toEqual([202, { accepted: 1 }])
    const batch = { 'content-type': 'application/cloudevents-batch+json' }
    expect(await post(`[${json({ id: 'one' })},${json({ id: 'two', time: 'noon' })}]`, batch)).toMatchObject([
      422,
      { accepted: 1, rejected: [{ index: 1, code: 'WEIR_RECORD_NO_CLOUDEVENT', faults: [{ path: 'time' }] }] },
    ])
    expect(await post('{}', whole)).toMatchObject([400, { faults: [{ path: 'id' }, {}, {}, {}] }])
    const values = (await read(target, 3)).map(({ value }) => value?.toString())
    expect(values).toEqual([
      json({ id: 'first' }),
      `{"id":"ä","source":"/s","specversion":"1.0","type":"t","datacontenttype":"application/json","data":${exact}}`,
      json({ id: 'one' }),
    ])
  })
})
