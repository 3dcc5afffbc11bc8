import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { GroupConsumer } from '../../src/kafka/consumer.js'
import type { Position, TopicChange } from '../../src/model/index.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, sourceOf, text } from './kafka-support.js'
import { TopicTools } from './topic-tools.js'

const missing = requireKafka()

/** What happens to topics while they are read, and while nobody reads them. */
describe.skipIf(missing !== undefined)('topics change', { concurrent: true }, () => {
  const members: Member[] = []
  let cluster: KafkaCluster
  let connection: KafkaConnection
  let tools: TopicTools

  beforeAll(async () => {
    cluster = await KafkaCluster.start()
    connection = connect(cluster.bootstrap)
    tools = await TopicTools.connect(cluster.bootstrap)
  })

  afterAll(async () => {
    for (const member of members) member.leave()
    await tools?.close()
    await connection?.close()
    await cluster?.close()
  })

  /** A topic of one partition with `r0`, `r1`, …. */
  async function filled(count: number): Promise<string> {
    const topic = fresh('topic')
    await tools.create(topic, 1)
    await tools.fill(topic, 0, 0, count)
    return topic
  }

  /** A member, and what it noticed. */
  async function joined(
    options: object,
    { from = [], keeps = 'nothing' }: { from?: readonly Position[]; keeps?: 'nothing' | 'state' | 'state by key' } = {},
  ) {
    const noticed: TopicChange[] = []
    const task = sourceOf(connection, options, { keeps, noticed: (change) => noticed.push(change) })
    const member = new Member(task, from)
    members.push(member)
    await member.until(() => member.partitions > 0 || member.error !== undefined, 'partitions are assigned')
    return { member, noticed }
  }

  /** Where a member of the group that read and committed so many records was when it left. */
  async function left(topic: string, group: string, records: number): Promise<readonly Position[]> {
    const { member } = await joined({ topic, group })
    await member.read(records)
    const positions = member.task.positions()
    await member.commit(positions)
    member.leave()
    return positions
  }

  /** The same of a topic of so many partitions. */
  async function leftOf(partitions: number) {
    const [topic, group] = [fresh('topic'), fresh('group')]
    await tools.create(topic, partitions)
    for (let partition = 0; partition < partitions; partition++) await tools.fill(topic, partition, 0, 5)
    return { topic, group, from: await left(topic, group, 5 * partitions) }
  }

  /** Its place in the group is kept for longer than it takes to come back. */
  const lasting = { instance: 'lasting', client: { 'session.timeout.ms': 45_000 } }

  /** Begins anew, as the engine would, until it has so many partitions. */
  async function settled(task: Member['task'], partitions: number, from: readonly Position[] = []) {
    const errors: unknown[] = []
    for (;;) {
      const member = new Member(task, from)
      members.push(member)
      const isThere = () => member.partitions === partitions
      await member.until(() => member.error !== undefined || isThere(), 'it has what there is')
      if (member.error === undefined) return { member, errors, total: member.assigned.at(-1)?.total }
      errors.push(member.error)
      member.leave()
    }
  }

  const pause = vi.spyOn(GroupConsumer.prototype, 'pause')
  afterAll(() => pause.mockRestore())

  /** Resolves when nothing more of a topic is fetched, for nobody takes what has come. */
  async function pausing(topic: string): Promise<void> {
    const count = () => pause.mock.calls.filter(([partitions]) => partitions.some((one) => one.topic === topic)).length
    const before = count()
    await vi.waitFor(() => expect(count()).toBeGreaterThan(before), 60_000)
  }

  const names = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `r${from + index}`)

  describe('partitions are added', () => {
    test('to a topic that is read from its latest: what comes there is read within seconds, from its beginning', async () => {
      const topic = await filled(5)
      const { member, noticed } = await joined({ topic, group: fresh('group'), from: 'latest' })
      await tools.grow(topic, 3)
      await tools.fill(topic, 2, 0, 10)
      // Left to itself, the client would find it after five minutes.
      expect((await member.read(10, 100_000)).map(text)).toEqual(names(0, 10))
      expect(noticed).toEqual([{ topic, change: 'grown' }])
      expect(member.assigned.at(-1)?.total).toBe(3)
    })

    test('while nobody reads it', async () => {
      const topic = await filled(5)
      const group = fresh('group')
      const from = await left(topic, group, 5)
      await tools.grow(topic, 2)
      await tools.fill(topic, 1, 0, 10)
      // With positions in a checkpoint store, and in the group alone.
      for (const given of [from, []]) {
        const { member } = await joined({ topic, group, from: 'latest' }, { from: given })
        expect((await member.read(10)).map(text)).toEqual(names(0, 10))
        member.leave()
      }
    })

    test('while a member with a lasting name is away: it is given what it had, and joins anew, for nobody reads the rest', async () => {
      const topic = await filled(5)
      const task = sourceOf(connection, { topic, group: fresh('group'), ...lasting })
      const { member } = await settled(task, 1)
      member.leave()
      await tools.grow(topic, 3)
      await tools.fill(topic, 2, 0, 10)
      const again = await settled(task, 3)
      expect(again.errors).toMatchObject([{ code: 'WEIR_SOURCE_MISASSIGNED', remedy: 'restart' }])
      expect(String(again.errors[0])).toContain(`has nobody read ${topic}-1, ${topic}-2`)
      expect((await again.member.read(15)).map(text)).toEqual(expect.arrayContaining(names(0, 10)))
    })

    test('and state is kept by the keys of the topic: the flow stops, running or not, unless that is accepted', async () => {
      const topic = await filled(5)
      const group = fresh('group')
      const from = await left(topic, group, 5)
      const running = await joined({ topic, group: fresh('group') }, { keeps: 'state by key' })
      await tools.grow(topic, 2)
      const stopped = await joined({ topic, group }, { from, keeps: 'state by key' })
      const reading = running.member.read(100)
      await running.member.until(() => running.member.error !== undefined, 'it is noticed')
      await reading
      for (const { member, noticed } of [running, stopped]) {
        expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_REPARTITIONED', remedy: 'stop' })
        expect(String(member.error)).toContain(`topic '${topic}' has 2 partitions and had 1`)
        expect(noticed).toContainEqual({ topic, change: 'grown' })
        member.leave()
      }
      await tools.fill(topic, 1, 0, 3)
      const accepting = await joined({ topic, group, onGrown: 'accept' }, { from, keeps: 'state by key' })
      expect(await accepting.member.read(3)).toHaveLength(3)
    })
  })

  describe('a topic is deleted and created again', () => {
    test('under a running flow: it stops', async () => {
      const topic = await filled(50)
      const { member, noticed } = await joined({ topic, group: fresh('group') })
      await member.read(50)
      await member.commit()
      await tools.recreate(topic, 1)
      await tools.fill(topic, 0, 0, 100)
      const reading = member.read(1_000)
      await member.until(() => member.error !== undefined, 'it is noticed')
      await reading
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_RECREATED', remedy: 'stop' })
      expect(String(member.error)).toContain(`topic '${topic}' was deleted and created again`)
      expect(noticed).toContainEqual({ topic, change: 'recreated' })
    })

    test('under a running flow that begins anew: it reads all of the new one', async () => {
      const topic = await filled(50)
      const options = { topic, group: fresh('group'), onRecreated: 'restart' }
      const { member } = await joined(options)
      await member.read(50)
      await member.commit()
      await tools.delete(topic)
      await member.until(() => member.task.trouble?.() !== undefined || member.error !== undefined, 'it is missed')
      await tools.create(topic, 1)
      await tools.fill(topic, 0, 0, 60)
      const read = await member.read(60)
      // Where the client has given the partition back meanwhile, it goes on by itself.
      if (read.length === 0) {
        await member.until(() => member.error !== undefined, 'it is noticed')
        expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_RECREATED', remedy: 'restart' })
        const again = new Member(member.task)
        members.push(again)
        read.push(...(await again.read(60)))
      }
      expect(read.map(text)).toEqual(names(0, 60))
    })

    test('with fewer partitions, while a member is being given those that there were: it joins anew, for the group leaves it what is gone', async () => {
      const { topic, group, from } = await leftOf(3)
      const task = sourceOf(connection, { topic, group, onRecreated: 'restart' }, { keeps: 'state' })
      const member = new Member(task, from)
      members.push(member)
      member.answer = false
      await member.until(() => member.assigned.length > 0, 'partitions are assigned')
      await tools.recreate(topic, 2)
      for (const change of [...member.changes]) await member.reply(change)
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_MISASSIGNED', remedy: 'restart' })
      expect(String(member.error)).toContain(`has it read ${topic}-2, and there is no such partition`)
      member.leave()
      expect((await settled(task, 2, from)).total).toBe(2)
    })

    test('with fewer partitions under a member with a lasting name: the group gives it what is gone until it has left', async () => {
      const { topic, group } = await leftOf(3)
      const task = sourceOf(connection, { topic, group, onRecreated: 'restart', ...lasting }, { keeps: 'state' })
      const { member } = await settled(task, 3)
      await tools.recreate(topic, 2)
      const reading = member.read(1_000)
      await member.until(() => member.error !== undefined, 'it is noticed')
      await reading
      member.leave()
      const { errors } = await settled(task, 2)
      expect([member.error, ...errors]).toContainEqual(expect.objectContaining({ code: 'WEIR_SOURCE_MISASSIGNED' }))
    })

    test('while nobody reads it: it stops, or begins anew, and places go on being in order', async () => {
      const topic = await filled(50)
      const group = fresh('group')
      const from = await left(topic, group, 50)
      await tools.recreate(topic, 1)
      await tools.fill(topic, 0, 0, 100)
      const { member, noticed } = await joined({ topic, group }, { from })
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_RECREATED', remedy: 'stop' })
      expect(noticed).toEqual([{ topic, change: 'recreated' }])
      member.leave()
      const anew = (await joined({ topic, group, onRecreated: 'restart' }, { from })).member
      expect((await anew.read(100)).map(text)).toEqual(names(0, 100))
      expect(anew.task.positions()[0]).toMatchObject({ offset: 100, facts: { before: 50 } })
    })
  })

  test('another topic is read under a lasting name: the group gives it the first one until it has left', async () => {
    const [first, second] = [await filled(5), await filled(7)]
    const group = fresh('group')
    const { member } = await settled(sourceOf(connection, { topic: first, group, ...lasting }), 1)
    member.leave()
    const again = await settled(sourceOf(connection, { topic: second, group, ...lasting }), 1)
    expect(again.errors).toMatchObject([{ code: 'WEIR_SOURCE_MISASSIGNED', remedy: 'restart' }])
    expect(String(again.errors[0])).toContain(`has it read ${first}-0`)
    expect(await again.member.read(7)).toHaveLength(7)
  })

  describe('records are deleted before they are read', () => {
    test('under a running flow: they are counted, and what is left is read', async () => {
      const topic = await filled(100)
      const { member, noticed } = await joined({ topic, group: fresh('group') })
      await member.read(100)
      await tools.deleteBefore(topic, 0, 60)
      await member.rewind([{ topic, partition: 0, offset: 10 }])
      expect((await member.read(40)).map(text)).toEqual(names(60, 100))
      expect(noticed).toEqual([{ topic, change: 'gap', records: 50 }])
    })

    test('under a running flow that shall stop then', async () => {
      const topic = await filled(100)
      const { member } = await joined({ topic, group: fresh('group'), onGap: 'fail' })
      await member.read(100)
      await tools.deleteBefore(topic, 0, 60)
      await member.rewind([{ topic, partition: 0, offset: 10 }])
      const reading = member.read(40)
      await member.until(() => member.error !== undefined, 'it is noticed')
      await reading
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_GAP', remedy: 'stop' })
      expect(String(member.error)).toContain(`${topic}-0 has nothing left of 10 to 59: up to 50 records`)
    })

    describe('while a slow sink keeps the partition paused', () => {
      /** A member that has read ten of 10,000 when everything but the last half goes; it still holds some of the first. Past the client it would hold all. */
      async function paused(options: object) {
        const topic = await filled(10_000)
        const { member, noticed } = await joined({ topic, group: fresh('group'), reader: 'client', ...options })
        await member.read(10)
        await pausing(topic)
        await tools.deleteBefore(topic, 0, 5_000)
        return { topic, member, noticed }
      }

      test('they are counted, and what is left is read', async () => {
        const { topic, member, noticed } = await paused({})
        const read: (string | null)[] = []
        while (read.at(-1) !== 'r9999') read.push(...(await member.read(9_990, 1_000)).map(text))
        const held = read.indexOf('r5000')
        expect(read).toEqual([...names(10, 10 + held), ...names(5_000, 10_000)])
        expect(held).toBeLessThan(3_000)
        expect(noticed).toEqual([{ topic, change: 'gap', records: 4_990 - held }])
      })

      test('the flow stops where it shall, and has read nothing that lies behind them', async () => {
        const { topic, member, noticed } = await paused({ onGap: 'fail' })
        const reading = member.read(9_990)
        await member.until(() => member.error !== undefined, 'it is noticed')
        const read = (await reading).map(text)
        expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_GAP', remedy: 'stop' })
        expect(read).toEqual(names(10, 10 + read.length))
        expect(read.length).toBeLessThan(3_000)
        expect(member.task.positions()).toMatchObject([{ offset: 10 + read.length }])
        expect(noticed).toEqual([{ topic, change: 'gap', records: 4_990 - read.length }])
      })
    })

    test('while nobody reads: as much, by the positions of a checkpoint store and by those of the group', async () => {
      const topic = await filled(100)
      const group = fresh('group')
      const from = await left(topic, group, 10)
      await tools.deleteBefore(topic, 0, 60)
      const strict = await joined({ topic, group, onGap: 'fail' }, { from })
      expect(strict.member.error).toMatchObject({ code: 'WEIR_SOURCE_GAP' })
      strict.member.leave()
      for (const given of [from, []]) {
        const { member, noticed } = await joined({ topic, group }, { from: given })
        expect((await member.read(40)).map(text)).toEqual(names(60, 100))
        expect(noticed).toEqual([{ topic, change: 'gap', records: 50 }])
        member.leave()
      }
    })
  })

  describe('a position lies beyond the end', () => {
    test('of a running flow: nothing is read again unless that is said', async () => {
      const topic = await filled(20)
      const { member } = await joined({ topic, group: fresh('group') })
      await member.read(20)
      await member.rewind([{ topic, partition: 0, offset: 1_000 }])
      expect(await member.read(1)).toEqual([])
      await member.until(() => member.error !== undefined, 'it is noticed')
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_TRUNCATED', remedy: 'stop' })
    })

    test('of a stopped flow', async () => {
      const topic = await filled(20)
      const group = fresh('group')
      const from = [{ topic, partition: 0, offset: 30 }]
      const { member, noticed } = await joined({ topic, group }, { from })
      expect(member.error).toMatchObject({ code: 'WEIR_SOURCE_TRUNCATED', remedy: 'stop' })
      expect(String(member.error)).toContain(`${topic}-0 ends at 20, and was read up to 30`)
      expect(noticed).toEqual([{ topic, change: 'truncated' }])
      member.leave()
      const all = (await joined({ topic, group, onTruncated: 'earliest' }, { from })).member
      expect(await all.read(20)).toHaveLength(20)
      all.leave()
      const next = (await joined({ topic, group, onTruncated: 'latest' }, { from })).member
      expect(next.task.positions()[0]?.offset).toBe(20)
    })
  })

  test('the offset of a group is set by other means: it holds where there is no state, and is told of where there is', async () => {
    const topic = await filled(20)
    const group = fresh('group')
    const from = await left(topic, group, 20)
    await tools.resetOffset(group, topic, 0, 5)
    const stateful = await joined({ topic, group }, { from, keeps: 'state' })
    expect(stateful.member.task.positions()[0]?.offset).toBe(20)
    expect(stateful.noticed).toEqual([{ topic, change: 'reset' }])
    stateful.member.leave()
    const { member, noticed } = await joined({ topic, group }, { from })
    expect((await member.read(15)).map(text)).toEqual(names(5, 20))
    expect(noticed).toEqual([{ topic, change: 'reset' }])
    await member.commit()
    member.leave()
    const again = await joined({ topic, group }, { from: member.task.positions() })
    expect(again.noticed).toEqual([])
  })

  test('a partition that was given back while it was paused is read when it is back', async () => {
    const topic = fresh('topic')
    await tools.create(topic, 2)
    const group = fresh('group')
    const settings = {
      topic,
      group,
      reader: 'client',
      client: { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 200 },
    }
    await tools.fill(topic, 0, 0, 2)
    await tools.fill(topic, 1, 0, 2)
    const { member: first } = await joined(settings)
    await first.read(1, 50)
    await pausing(topic)
    const { member: second } = await joined(settings)
    await first.until(() => first.partitions === 1, 'a partition moves')
    await first.read(1, 50)
    second.leave()
    await first.until(() => first.partitions === 2, 'it is back')
    await tools.fill(topic, 0, 0, 5)
    await tools.fill(topic, 1, 0, 5)
    expect(await first.read(10)).toHaveLength(10)
  })
})
