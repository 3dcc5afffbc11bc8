import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nativeClient } from '../../src/kafka/client.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import type { Position, SourceContext, TopicChange } from '../../src/model/index.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, openSink, recordOf, sinkOf, sourceOf, text, writeAll } from './kafka-support.js'

const missing = requireKafka()

const servers = [
  {
    name: 'embedded',
    open: () => Promise.resolve({ bootstrap: 'embedded', close: () => Promise.resolve() }),
    skip: false,
  },
  { name: 'Apache Kafka', open: () => KafkaCluster.start(), skip: missing !== undefined },
]

describe.each(servers)('kafka.source on $name', ({ name, open, skip }) => {
  // The mock cluster lets each joining last almost a session, and a partition that moves takes two or three of them. No
  // broker has that wait, so there the session need not be short.
  const brisk = { 'session.timeout.ms': name === 'embedded' ? 3_000 : 6_000, 'heartbeat.interval.ms': 200 }
  const members: Member[] = []
  let connection: KafkaConnection
  let server: { bootstrap: string; close(): Promise<void> }

  beforeAll(async () => {
    if (skip) return
    server = await open()
    connection = connect(server.bootstrap)
  })

  afterAll(async () => {
    for (const member of members) member.leave()
    await connection?.close()
    await server?.close()
  })

  /** A topic that holds `r0`, `r1`, … in turn with keys that spread over its partitions. */
  async function filled(count: number, { timestamp }: { timestamp?: (index: number) => number } = {}): Promise<string> {
    const topic = fresh('topic')
    await fill(topic, 0, count, timestamp)
    return topic
  }

  async function fill(topic: string, from: number, to: number, timestamp?: (index: number) => number): Promise<void> {
    const sink = sinkOf(connection, { topic, headers: () => [] })
    await openSink(sink)
    const records = Array.from({ length: to - from }, (_, index) => {
      const at = timestamp === undefined ? {} : { timestamp: timestamp(from + index) }
      return recordOf(`r${from + index}`, `key-${(from + index) % 20}`, at)
    })
    await writeAll(sink, records)
    await closed(sink)
  }

  function join(options: object, from: readonly Position[] = [], context: Partial<SourceContext> = {}): Member {
    const member = new Member(sourceOf(connection, options, context), from)
    members.push(member)
    return member
  }

  async function joined(options: object, from: readonly Position[] = []): Promise<Member> {
    const member = join(options, from)
    await member.until(() => member.partitions > 0 || member.error !== undefined, 'partitions are assigned')
    return member
  }

  // Each of these has topics and groups of its own, and waits for its groups most of the time.
  describe('side by side', { concurrent: true }, () => {
    test.skipIf(skip)(
      'begins at the earliest record where nothing is committed, and after that at the committed one',
      async () => {
        const topic = await filled(200)
        const group = fresh('group')
        const first = await joined({ topic, group })
        expect(first.assigned[0]?.total).toBe(first.partitions)
        await first.read(120)
        await first.commit()
        first.leave()
        const second = await joined({ topic, group })
        await second.read(80)
        expect([...first.records, ...second.records].map(text).sort()).toEqual(
          Array.from({ length: 200 }, (_, index) => `r${index}`).sort(),
        )
      },
    )

    test.skipIf(skip)('begins at the latest record when told to', async () => {
      const topic = await filled(50)
      const member = await joined({ topic, group: fresh('group'), from: 'latest' })
      await fill(topic, 50, 60)
      expect((await member.read(10)).map(text).sort()).toEqual(
        Array.from({ length: 10 }, (_, index) => `r${50 + index}`).sort(),
      )
    })

    test.skipIf(skip || name === 'embedded')('begins at a time when told to', async () => {
      const topic = await filled(100, { timestamp: (index) => 1_000_000 + index * 1_000 })
      const member = await joined({ topic, group: fresh('group'), from: 1_000_000 + 60 * 1_000 })
      const read = await member.read(40)
      expect(await member.read(1, 500)).toEqual([])
      expect(read.map(text).sort()).toEqual(Array.from({ length: 40 }, (_, index) => `r${60 + index}`).sort())
    })

    test.skipIf(skip)('begins at the positions that it is given, whatever the group has committed', async () => {
      const topic = await filled(60)
      const group = fresh('group')
      const first = await joined({ topic, group })
      await first.read(60)
      await first.commit()
      const given = first.task.positions().map((position) => ({ ...position, offset: Math.floor(position.offset / 2) }))
      const rest = first.task.positions().reduce((sum, { offset }) => sum + offset - Math.floor(offset / 2), 0)
      first.leave()
      const second = await joined({ topic, group }, given)
      expect(second.task.positions()).toEqual(given)
      expect(await second.read(rest)).toHaveLength(rest)
      expect(await second.read(1, 500)).toEqual([])
    })

    test.skipIf(skip)('a group without a position is refused when only a committed one will do', async () => {
      const topic = await filled(1)
      const member = await joined({ topic, group: fresh('group'), from: 'committed' })
      expect(String(member.error)).toContain('has no position of')
    })

    test.skipIf(skip)(
      'epochs that are full or cut lose nothing, repeat nothing, and keep the order of a key',
      async () => {
        const topic = await filled(5_000)
        const member = await joined({ topic, group: fresh('group') })
        const sizes = [1, 7, 1_000, 333, 2, 1_500]
        for (let epoch = 0; member.records.length < 5_000 && epoch < 100; epoch++) {
          const size = sizes[epoch % sizes.length]!
          const read = await member.read(size, 500)
          expect(read.length).toBeLessThanOrEqual(size)
        }
        expect(new Set(member.records.map(text)).size).toBe(5_000)
        expect(member.records).toHaveLength(5_000)
        expectOrder(member)
      },
    )

    test.skipIf(skip)('goes back to any position, and reads on from there exactly', async () => {
      const topic = await filled(3_000)
      const member = await joined({ topic, group: fresh('group') })
      await member.read(500)
      const committed = member.task.positions()
      const once = await member.read(1_700)
      await member.rewind(committed)
      expect(member.task.positions()).toEqual(committed)
      const rest = await member.read(2_500)
      expect(new Set(rest.map(text)).size).toBe(2_500)
      expect(once.every((record) => rest.some((again) => text(again) === text(record)))).toBe(true)
      expect(await member.read(1, 500)).toEqual([])
    })

    test.skipIf(skip)(
      'a second member takes over at the released positions, and a zero assignment is told',
      async () => {
        const topic = await filled(2_000)
        const group = fresh('group')
        const settings = { topic, group, client: brisk }
        const first = await joined(settings)
        const all = first.partitions
        await first.read(500)
        await first.commit()
        const second = join(settings)
        await first.until(() => first.revoked.length > 0 && second.partitions > 0, 'partitions move')
        expect(first.revoked[0]?.lost).toBe(false)
        expect(first.partitions + second.partitions).toBe(all)
        expect([...first.assigned, ...second.assigned].some(({ partitions }) => partitions.length === 0)).toBe(true)
        const read = () => [...first.records, ...second.records].map(text)
        while (read().length < 2_000) await Promise.all([first.read(2_000, 500), second.read(2_000, 500)])
        await Promise.all([first.read(1, 500), second.read(1, 500)])
        expect(new Set(read()).size).toBe(2_000)
        expect(read()).toHaveLength(2_000)
      },
    )

    test.skipIf(skip)('what was fetched of a partition goes with it, and is not there when it is back', async () => {
      const topic = await filled(500)
      const settings = { topic, group: fresh('group'), client: brisk }
      const first = await joined(settings)
      const all = first.partitions
      await first.read(1)
      await first.commit()
      const second = join(settings)
      await second.until(() => second.partitions > 0, 'the second member gets its share')
      while (second.records.length === 0) await second.read(500, 500)
      await second.commit()
      second.leave()
      await first.until(() => first.partitions === all, 'the first member has all again')
      const read = () => [...first.records, ...second.records].map(text)
      while (read().length < 500) await first.read(500, 500)
      await first.read(1, 500)
      expect(new Set(read()).size).toBe(500)
      expect(read()).toHaveLength(500)
    })

    test.skipIf(skip)('the group waits until revoked partitions are released', async () => {
      const topic = await filled(10)
      const group = fresh('group')
      const settings = { topic, group, client: brisk }
      const first = await joined(settings)
      first.answer = false
      const second = join(settings)
      await first.until(() => first.revoked.length > 0, 'the group asks for partitions')
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(second.partitions).toBe(0)
      first.answer = true
      await first.reply(first.revoked[0]!)
      await second.until(() => second.partitions > 0, 'the second member gets its share')
    })

    test.skipIf(skip || name === 'embedded')('a partition that has records but gives none is a stall', async () => {
      const topic = await filled(10)
      // A fetch that waits for more than there is: to the reader it looks like a client gone silent.
      const client = {
        'fetch.min.bytes': 50_000_000,
        'fetch.max.bytes': 60_000_000,
        'fetch.wait.max.ms': 20_000,
        'socket.timeout.ms': 30_000,
      }
      const member = await joined({ topic, group: fresh('group'), stallAfter: '1s', client })
      const reading = member.read(10, 8_000)
      const asking = setInterval(() => void member.ends(), 300)
      await member.until(() => member.error !== undefined, 'the stall is noticed')
      clearInterval(asking)
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_STALLED' })
      await reading
    })

    test.skipIf(skip)('commits are acknowledged while chunks wait that no epoch has room for', async () => {
      const topic = await filled(4_000)
      // How soon, a test of the pump says by its own clock.
      const member = await joined({ topic, group: fresh('group'), reader: 'client' })
      await member.read(1)
      await member.commit()
      expect(member.error).toBeUndefined()
    })

    test.skipIf(skip)('a transactional topic that is read to its end is at its end', async ({ expect }) => {
      const topic = await filled(0)
      const producer = new (nativeClient().Producer)({
        'metadata.broker.list': await connection.bootstrap(),
        'transactional.id': fresh('tx'),
      })
      await new Promise((resolve) => producer.connect({}, resolve as never))
      await new Promise((resolve) => producer.initTransactions(10_000, resolve as never))
      for (const end of ['commitTransaction', 'abortTransaction', 'commitTransaction'] as const) {
        await new Promise((resolve) => producer.beginTransaction(resolve))
        for (let index = 0; index < 3; index++) producer.produce(topic, 0, Buffer.from(`${end}-${index}`))
        await new Promise((resolve) => producer.flush(5_000, resolve))
        await new Promise((resolve) => producer[end](10_000, resolve as never))
      }
      await new Promise((resolve) => producer.disconnect(1_000, resolve as never))
      const member = await joined({ topic, group: fresh('group') })
      const readOn = async () => {
        await member.read(100, 500)
        return (await member.ends()).find(({ partition }) => partition === 0)
      }
      await expect.poll(readOn).toMatchObject({ offset: 12, end: 12 })
      // The embedded broker gives aborted records too.
      expect(member.records).toHaveLength(name === 'embedded' ? 9 : 6)
    })

    test.skipIf(skip || name === 'embedded')(
      'a missing topic is waited for, and told of, and read once it is there',
      async () => {
        const topic = fresh('missing')
        const noticed: TopicChange[] = []
        const member = join({ topic, group: fresh('group') }, [], { noticed: (change) => noticed.push(change) })
        await member.until(() => member.task.trouble?.() !== undefined, 'it is told that the topic is missing')
        expect(member.task.trouble?.()).toMatchObject({
          code: 'WEIR_SOURCE_MISSING',
          message: expect.stringContaining(topic),
        })
        expect(noticed).toEqual([{ topic, change: 'missing' }])
        await fill(topic, 0, 10)
        expect(await member.read(10)).toHaveLength(10)
        expect(member.task.trouble?.()).toBeUndefined()
      },
    )

    test.skipIf(skip)('leaving while the assignment is not answered ends cleanly', async () => {
      const topic = await filled(1)
      const own = connect(await connection.bootstrap())
      const member = new Member(sourceOf(own, { topic, group: fresh('group') }))
      member.answer = false
      await member.until(() => member.assigned.length > 0, 'an assignment comes')
      member.leave()
      // The client would wait for the answer for ever.
      await own.close()
    })
  })

  // Side by side with others it would not get to poll in time: all clients of a process share its few threads.
  test.skipIf(skip)(
    'a slow sink keeps its partitions past max.poll.interval.ms, and loses and repeats nothing',
    async () => {
      const topic = await filled(4_000)
      const client = { 'session.timeout.ms': 6_000, 'max.poll.interval.ms': 6_000 }
      const member = await joined({ topic, group: fresh('group'), client })
      await member.read(1_500)
      await new Promise((resolve) => setTimeout(resolve, 7_500))
      expect(member.revoked).toEqual([])
      await member.read(2_500)
      expect(new Set(member.records.map(text)).size).toBe(4_000)
      expect(await member.read(1, 500)).toEqual([])
      await member.commit()
      expectOrder(member)
    },
  )
})

test('a broker that nobody answers for is an error after 5 s', async () => {
  const connection = connect('127.0.0.1:1')
  const member = new Member(sourceOf(connection, { topic: 'orders' }))
  await member.until(() => member.error !== undefined, 'it gives up', 30_000)
  expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_UNREACHABLE' })
  expect(String(member.error)).toContain("reading topic 'orders' of flow 'flow': broker 127.0.0.1:1 does not answer")
  member.leave()
  await connection.close()
})

function expectOrder(member: Member): void {
  const last = new Map<string, number>()
  for (const record of member.records) {
    const number = Number(text(record)?.slice(1))
    const key = String(record.key)
    expect(number).toBeGreaterThan(last.get(key) ?? -1)
    last.set(key, number)
  }
}

async function closed(sink: ReturnType<typeof sinkOf>): Promise<void> {
  const { lastValueFrom } = await import('rxjs')
  if (sink.close !== undefined) await lastValueFrom(sink.close(), { defaultValue: undefined })
}
