import { from, lastValueFrom, Observable } from 'rxjs'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { kafka } from '../../src/connectors/kafka.js'
import { nativeClient } from '../../src/kafka/client.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import {
  Batch,
  correlationHeader,
  type DeadLetterSink,
  type Header,
  headerOf,
  StreamRecord,
  WeirError,
} from '../../src/model/index.js'
import { kafkaSinkUnderTest } from '../contracts/kafka-sink-under-test.js'
import { heldUpContract, oddities, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import {
  connect,
  fresh,
  Member,
  makeTopic,
  openSink,
  recordOf,
  sharedServer,
  sinkOf,
  sourceOf,
  text,
  valuesOf,
  writeAll,
} from './kafka-support.js'
import type { TcpProxy } from './tcp-proxy.js'

const missing = requireKafka()

type Server = Pick<KafkaCluster, 'bootstrap' | 'close'>

const servers = [
  {
    name: 'embedded',
    open: () => Promise.resolve({ bootstrap: 'embedded', close: () => Promise.resolve() }),
    skip: false,
  },
  { name: 'Apache Kafka', open: () => KafkaCluster.start(), skip: missing !== undefined },
]

async function readAll(connection: KafkaConnection, topic: string, count: number) {
  const member = new Member(sourceOf(connection, { topic, group: fresh('group') }))
  try {
    await member.until(() => member.partitions > 0, 'partitions are assigned')
    return await member.read(count)
  } finally {
    member.leave()
  }
}

// Each test has a topic and a group of its own, and waits for its group most of the time.
const together = { timeout: 60_000, concurrent: true }

describe.each(servers)('kafka.sink on $name', together, ({ name, open, skip }) => {
  const others: KafkaConnection[] = []
  const shared = sharedServer<Server>(open, skip)

  afterAll(() => Promise.all(others.map((other) => other.close())))

  test.skipIf(skip)(
    'writes keys, values, timestamps and headers, batches one by one, arrays as JSON, and null as a tombstone',
    async () => {
      const topic = fresh('topic')
      const sink = sinkOf(shared.connection, { topic, key: (value: { id: string } | null) => value?.id ?? 'gone' })
      await openSink(sink)
      const headers = [{ trace: Buffer.from([1, 2]) }, { trace: 'again' }]
      const arrays = [[], [null], [[1]], [{ id: 'in an array' }]]
      await writeAll(sink, [
        recordOf({ id: 'a', n: 1 }, null, { timestamp: 1_234_567, headers }),
        recordOf(new Batch([recordOf({ id: 'b' }), recordOf({ id: 'c' }, null, { timestamp: 7 })])),
        ...arrays.map((value) => recordOf(value)),
        recordOf(null),
      ])
      const records = await readAll(shared.connection, topic, 8)
      const isArray = (record: StreamRecord<Buffer | null>) => text(record)?.startsWith('[') === true
      const written = records.filter(isArray).map(text)
      expect(written.sort()).toEqual(arrays.map((value) => JSON.stringify(value)).sort())
      const byKey = new Map(records.filter((record) => !isArray(record)).map((record) => [String(record.key), record]))
      expect(byKey.get('c')?.timestamp).toBe(7)
      expect([...byKey.keys()].sort()).toEqual(['a', 'b', 'c', 'gone'])
      expect(text(byKey.get('a')!)).toBe('{"id":"a","n":1}')
      expect(byKey.get('a')?.timestamp).toBe(1_234_567)
      expect(byKey.get('a')?.headers).toEqual([{ trace: Buffer.from([1, 2]) }, { trace: Buffer.from('again') }])
      expect(byKey.get('gone')?.value).toBeNull()
    },
  )

  test.skipIf(skip)('hands the correlation id on, and makes one of where the record was read', async () => {
    const topic = fresh('topic')
    const sink = sinkOf(shared.connection, { topic })
    await openSink(sink)
    const origin = { topic: 'orders', partition: 2, offset: 7 }
    await writeAll(sink, [
      recordOf('made', 'made', { origin }),
      recordOf('had', 'had', { origin, headers: [{ [correlationHeader]: 'abc' }] }),
    ])
    const records = await readAll(shared.connection, topic, 2)
    const ids = new Map(records.map((record) => [text(record), headerOf(record.headers, correlationHeader)]))
    expect(ids).toEqual(
      new Map([
        ['made', 'orders-2@7'],
        ['had', 'abc'],
      ]),
    )
  })

  test.skipIf(skip)('what is empty stays empty: written, copied and as a dead letter', async () => {
    const [topic, copies, letters] = [fresh('topic'), fresh('copies'), fresh('letters')]
    const sink = sinkOf(shared.connection, { topic })
    await openSink(sink)
    const headers: Header[] = [{ none: Buffer.alloc(0) }, { text: '' }, { some: 'x' }]
    await writeAll(sink, [
      recordOf('', 'text', { headers }),
      recordOf(Buffer.alloc(0), 'bytes'),
      recordOf('keyed by nothing', ''),
      recordOf('keyed by no bytes').keyed(Buffer.alloc(0)),
      recordOf(null, 'tombstone', { timestamp: -1 }),
    ])
    const read = await readAll(shared.connection, topic, 5)
    const copy = sinkOf(shared.connection, { topic: copies })
    await openSink(copy)
    await writeAll(copy, read)
    const dead = kafka.definition.deadLetters?.(shared.connection, letters, shared.connection.context) as DeadLetterSink
    await lastValueFrom(dead.open(), { defaultValue: undefined })
    const error = new WeirError('WEIR_RECORD_INVALID', 'no')
    for (const record of read) dead.write({ record, error, flow: 'f', stage: 's', attempts: 1 })
    await lastValueFrom(dead.flush(), { defaultValue: undefined })
    const [empty, none] = [Buffer.alloc(0), null]
    const expected: Record<string, unknown> = { text: empty, bytes: empty, tombstone: none }
    for (const [from, records] of [
      [topic, read],
      [copies, await readAll(shared.connection, copies, 5)],
      [letters, await readAll(shared.connection, letters, 5)],
    ] as const) {
      const keys = records.map(({ key }) => (key === null ? 'no key' : String(key))).sort()
      expect(keys, from).toEqual(['', '', 'bytes', 'text', 'tombstone'])
      for (const { key, value } of records) if (String(key) !== '') expect(value, from).toEqual(expected[String(key)])
      const names = records.find(({ key }) => String(key) === 'text')?.headers.slice(0, 3)
      expect(names, from).toEqual([{ none: empty }, { text: empty }, { some: Buffer.from('x') }])
    }
    expect(read.find(({ key }) => String(key) === 'tombstone')?.timestamp).toBe(-1)
  })

  test.skipIf(skip)('a record that is too large for the client is rejected, and the others are written', async () => {
    const topic = fresh('topic')
    const narrow = connect(await shared.connection.bootstrap(), { client: { 'message.max.bytes': 1_000_000 } })
    others.push(narrow)
    await openSink(sinkOf(shared.connection, { topic }))
    const rejected: { record: StreamRecord; error: WeirError }[] = []
    const sink = sinkOf(narrow, { topic, create: false }, rejected)
    await openSink(sink)
    const large = recordOf('x'.repeat(2_000_000))
    await writeAll(sink, [recordOf('before'), large, recordOf('after')])
    expect(rejected).toHaveLength(1)
    expect(rejected[0]?.record).toBe(large)
    expect(rejected[0]?.error.code).toBe('WEIR_RECORD_REFUSED')
    expect((await readAll(shared.connection, topic, 2)).map(text).sort()).toEqual(['after', 'before'])
  })

  test.skipIf(skip || name === 'embedded').each([
    { what: 'is found by the replay, where there is one', replays: true },
    { what: 'is found in its own epoch, where nothing comes again', replays: false },
  ])('a record that is too large for the broker $what, and rejected alone', async ({ replays }) => {
    const topic = fresh('topic')
    const rejected: { record: StreamRecord; error: WeirError }[] = []
    const sink = sinkOf(shared.connection, { topic, partitions: 1, linger: 50 }, rejected, { replays })
    await openSink(sink)
    const records = [recordOf('before'), recordOf('x'.repeat(2_000_000)), recordOf('after')]
    if (replays) {
      await expect(writeAll(sink, records)).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED', atOnce: true })
    }
    await writeAll(sink, records)
    expect(rejected.map(({ record }) => record)).toEqual([records[1]])
    await writeAll(sink, [recordOf('later')])
    // What shared no request with it was written by the failed try too: at least once.
    expect(new Set(await valuesOf(shared.connection, topic))).toEqual(new Set(['before', 'after', 'later']))
  })

  test.skipIf(skip || name === 'embedded')(
    'a topic that takes less than a request holds gets smaller requests, and no record of it is rejected',
    async () => {
      const topic = fresh('topic')
      await makeTopic(shared.connection, topic, { config: { 'max.message.bytes': '60000' } })
      const rejected: unknown[] = []
      const sink = sinkOf(shared.connection, { topic, linger: 50 }, rejected)
      await openSink(sink)
      const records = Array.from({ length: 300 }, (_, index) => recordOf(`${index} ${'x'.repeat(2_000)}`))
      for (let epoch = 0; epoch < 4; epoch++) await writeAll(sink, records)
      expect(rejected).toEqual([])
      const read = await valuesOf(shared.connection, topic)
      expect(new Set(read).size).toBe(300)
      expect(read.slice(-300)).toEqual(records.map(({ value }) => value))
    },
  )

  test.skipIf(skip || name === 'embedded')(
    'each of a thousand that are refused is told before the epoch ends',
    async () => {
      const topic = fresh('topic')
      await makeTopic(shared.connection, topic, { config: { 'max.message.bytes': '1000' } })
      const rejected: unknown[] = []
      const sink = sinkOf(shared.connection, { topic, linger: 50 }, rejected)
      await openSink(sink)
      // The client tells JavaScript of a hundred in a turn, and its turns are long here.
      const busy = setInterval(() => {
        const until = performance.now() + 200
        while (performance.now() < until);
      }, 1)
      onTestFinished(() => clearInterval(busy))
      const records = Array.from({ length: 1_000 }, (_, index) => recordOf(`${index} ${'x'.repeat(2_000)}`))
      await writeAll(sink, records).catch(() => undefined)
      if (rejected.length === 0) await writeAll(sink, records)
      expect(rejected).toHaveLength(1_000)
    },
  )

  test.skipIf(skip)('more than the queue of the client holds waits its turn', async () => {
    const topic = fresh('topic')
    const small = connect(await shared.connection.bootstrap(), { client: { 'queue.buffering.max.messages': 100 } })
    others.push(small)
    const sink = sinkOf(small, { topic, create: false })
    await makeTopic(shared.connection, topic, { partitions: 3 })
    await openSink(sink)
    await writeAll(
      sink,
      Array.from({ length: 3_000 }, (_, index) => recordOf(`r${index}`, 'one key')),
    )
    const records = await readAll(shared.connection, topic, 3_000)
    expect(records.map(text)).toEqual(Array.from({ length: 3_000 }, (_, index) => `r${index}`))
  })

  test.skipIf(skip)('dead letters keep every byte that was read', async () => {
    const [topic, letters] = [fresh('topic'), fresh('dead-letters')]
    const sink = sinkOf(shared.connection, { topic })
    await openSink(sink)
    const headers: Header[] = [{ trace: Buffer.from([0, 255, 128]) }, { trace: 'twice' }, { empty: Buffer.alloc(0) }]
    await writeAll(sink, [
      recordOf(Buffer.from([0, 159, 146, 150]), 'key', { timestamp: 987_654_321, headers }),
      recordOf(null, 'tombstone'),
    ])
    const read = await readAll(shared.connection, topic, 2)
    const dead = kafka.definition.deadLetters?.(shared.connection, letters, shared.connection.context) as DeadLetterSink
    await lastValueFrom(dead.open(), { defaultValue: undefined })
    const error = new WeirError('WEIR_RECORD_MALFORMED', 'decoding JSON: no', { cause: new SyntaxError('no') })
    for (const record of read)
      dead.write({ record: record.with('changed'), error, flow: 'billing', stage: 'json', attempts: 2 })
    const computed = new StreamRecord('k', { sum: 1 }, 5, [], { topic: 'orders', partition: 0, offset: 3 })
    dead.write({ record: computed, error, flow: 'billing', stage: 'json', attempts: 1 })
    await lastValueFrom(dead.flush(), { defaultValue: undefined })
    const found = await readAll(shared.connection, letters, 3)
    for (const record of read) {
      const letter = found.find(({ key }) => String(key) === String(record.key))
      expect(letter?.value).toEqual(record.value)
      expect(letter?.key).toEqual(record.key)
      expect(letter?.timestamp).toBe(record.timestamp)
      expect(letter?.headers.slice(0, record.headers.length)).toEqual(record.headers)
      const told = Object.assign({}, ...(letter?.headers.slice(record.headers.length) ?? [])) as Record<string, Buffer>
      expect(
        Object.fromEntries(Object.entries(told).map(([header, value]) => [header, value.toString()])),
      ).toMatchObject({
        '__connect.errors.topic': topic,
        '__connect.errors.partition': String(record.origin.partition),
        '__connect.errors.offset': String(record.origin.offset),
        '__connect.errors.connector.name': 'test.billing',
        '__connect.errors.stage': 'json',
        '__connect.errors.exception.class.name': 'SyntaxError',
        '__connect.errors.exception.message': 'decoding JSON: no',
        'weir.flow': 'billing',
        'weir.stage': 'json',
        'weir.attempts': '2',
        'weir.error.code': 'WEIR_RECORD_MALFORMED',
      })
    }
    expect(found.map(text)).toContain('{"sum":1}')
    await lastValueFrom(dead.close(), { defaultValue: undefined })
  })

  test.skipIf(skip)('times about the beginning stay there', async () => {
    const topic = fresh('topic')
    const sink = sinkOf(shared.connection, { topic })
    await openSink(sink)
    const times = [0, 0.5, 1, -1, -86_400_000]
    await writeAll(
      sink,
      times.map((timestamp) => recordOf(String(timestamp), null, { timestamp })),
    )
    const records = await readAll(shared.connection, topic, times.length)
    // Of 0 the client would make now.
    const written = times.map((timestamp) => [String(timestamp), Math.trunc(timestamp) || 1])
    expect(records.map((record) => [text(record), record.timestamp]).sort()).toEqual(written.sort())
  })

  test('an empty epoch and an unused sink cost nothing', { skip }, async () => {
    const topic = fresh('topic')
    const sink = sinkOf(shared.connection, { topic })
    await openSink(sink)
    const { Producer } = nativeClient()
    const calls = (['connect', 'produce', 'flush', 'getMetadata'] as const).map((name) =>
      vi.spyOn(Producer.prototype, name),
    )
    const begun = calls.map(({ mock }) => mock.contexts.length)
    for (let epoch = 0; epoch < 100; epoch++) await writeAll(sink, [])
    const idle = calls.map(({ mock }) => mock.contexts.length)
    await writeAll(sink, [recordOf('one')])
    // Other tests write meanwhile: the producer that counts is the one of this topic.
    const { mock } = calls[1]!
    const own = mock.contexts[mock.calls.findIndex(([written]) => written === topic)]
    expect(own).toBeDefined()
    const isCalled = (part: (contexts: unknown[], index: number) => unknown[]) =>
      calls.map(({ mock: { contexts } }, index) => part(contexts, index).includes(own))
    expect(isCalled((contexts, index) => contexts.slice(begun[index], idle[index]))).toEqual([
      false,
      false,
      false,
      false,
    ])
    expect(isCalled((contexts, index) => contexts.slice(idle[index]))).toEqual([false, true, true, false])
  })
})

describe.skipIf(missing !== undefined)('kafka.sink on a broker that dies', () => {
  const shared = sharedServer(() => KafkaCluster.start({ proxied: true }))

  const underTest = () => kafkaSinkUnderTest(shared.connection, shared.connection)
  sinkContract('Kafka', underTest, refusals, oddities)
  heldUpContract('Kafka', async () => ({ ...(await underTest()), way: shared.server.ways[0] as TcpProxy }))

  test('costs no acknowledged record, and no order, when it is killed under load', async () => {
    const topic = fresh('topic')
    const sink = sinkOf(shared.connection, { topic, deliveryTimeout: '180s' })
    await openSink(sink)
    const total = 40_000
    const slowly = new Observable<StreamRecord>((out) => {
      let next = 0
      const timer = setInterval(() => {
        for (let burst = 0; burst < 100 && next < total; burst++, next++)
          out.next(recordOf(`r${next}`, `key-${next % 50}`))
        if (next === total) out.complete()
      }, 10)
      return () => clearInterval(timer)
    })
    const written = lastValueFrom(sink.write(slowly), { defaultValue: undefined })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await shared.server.kill(0)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await shared.server.restart(0)
    await written
    const records = await readAll(shared.connection, topic, total)
    expect(records).toHaveLength(total)
    expect(new Set(records.map(text)).size).toBe(total)
    const last = new Map<string, number>()
    for (const record of records) {
      const number = Number(text(record)?.slice(1))
      expect(number).toBeGreaterThan(last.get(String(record.key)) ?? -1)
      last.set(String(record.key), number)
    }
  })

  test('fails the epoch while it stays away, and the next epoch writes again', async () => {
    const topic = fresh('topic')
    const sink = sinkOf(shared.connection, { topic, partitions: 1, deliveryTimeout: '2s' })
    await openSink(sink)
    await writeAll(sink, [recordOf('before')])
    await shared.server.kill(0)
    await expect(writeAll(sink, [recordOf('lost?')])).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED' })
    await expect(lastValueFrom(sink.write(from([recordOf('lost?')])))).rejects.toMatchObject({
      code: 'WEIR_SINK_UNREACHABLE',
    })
    await shared.server.restart(0)
    // A partition may have no leader yet.
    const again = () => writeAll(sink, [recordOf('after')]).then(() => 'written', String)
    await expect.poll(again).toBe('written')
    expect(new Set(await valuesOf(shared.connection, topic))).toEqual(new Set(['before', 'after']))
  })
})
