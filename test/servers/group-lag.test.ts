import { describe, expect, onTestFinished, test } from 'vitest'
import { alertWebhook } from '../../src/flows/alert-webhook.js'
import { lagWatch } from '../../src/flows/lag-watch.js'
import { compile, defineConfig, flow, kafka, memory } from '../../src/index.js'
import { call, disconnect, nativeClient, type Producer } from '../../src/kafka/client.js'
import { measureGroups, type PartitionLag } from '../../src/kafka/measured-groups.js'
import { isSigned, Receiver } from '../support/receiver.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, makeTopic, sharedServer } from './kafka-support.js'
import { TopicTools } from './topic-tools.js'

const whsec = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const answerMs = 60_000

describe.skipIf(requireKafka() !== undefined)('how far groups are behind', () => {
  const shared = sharedServer(() => KafkaCluster.start())

  /** A topic, what operators do to it, and its groups as they are measured. */
  async function begin(partitions = 1, config: Readonly<Record<string, string>> = {}) {
    const { server, connection } = shared
    const tools = await TopicTools.connect(server.bootstrap)
    onTestFinished(() => tools.close())
    const topic = await makeTopic(connection, fresh('lagging'), { partitions, config })
    const group = fresh('group')
    const measured = async (names: readonly string[] = [group]) => measureGroups(connection, names)
    const lags = async (): Promise<readonly PartitionLag[]> => (await measured())[0]?.partitions ?? []
    const at = (offset: number, partition = 0, of = group) => tools.resetOffset(of, topic, partition, offset)
    return { topic, group, tools, measured, lags, at }
  }

  test('is told by the first record that is not read, with its time', async () => {
    const { tools, topic, at, lags } = await begin()
    const before = Date.now()
    await tools.fill(topic, 0, 0, 10)
    await at(4)
    const [lag] = await lags()
    expect(lag).toMatchObject({ topic, partition: 0, committed: 4, end: 10, records: 6 })
    expect(lag?.unreadSince).toBeGreaterThanOrEqual(before)
    expect(lag?.unreadSince).toBeLessThanOrEqual(Date.now())
    await at(10)
    expect(await lags()).toMatchObject([{ committed: 10, records: 0, unreadSince: null }])
  })

  test('of transactions nothing is left but markers, and what was aborted: that is 0', async () => {
    const { topic, at, lags } = await begin()
    const producer = await transactional()
    await transaction(producer, topic, 5, 'commitTransaction')
    const seen: [number, number, boolean][] = []
    const look = async (offset: number, end: number) => {
      await at(offset)
      // The marker is there a moment later.
      await expect.poll(async () => (await lags())[0]?.end).toBe(end)
      const [lag] = await lags()
      seen.push([offset, lag?.records ?? -1, lag?.unreadSince !== null])
    }
    // 0 to 4 are records, and 5 is the marker.
    for (const offset of [3, 5, 6]) await look(offset, 6)
    await transaction(producer, topic, 3, 'abortTransaction')
    for (const offset of [5, 6, 10]) await look(offset, 10)
    expect(seen).toEqual([
      [3, 3, true],
      [5, 0, false],
      [6, 0, false],
      [5, 0, false],
      [6, 0, false],
      [10, 0, false],
    ])
  })

  test('what is in a transaction that is not over counts when it is', async () => {
    const { topic, tools, at, lags } = await begin()
    await tools.fill(topic, 0, 0, 2)
    await at(2)
    const producer = await transactional()
    await call((done) => producer.beginTransaction(done as never))
    await produce(producer, topic, 4)
    await tools.fill(topic, 0, 10, 13)
    expect(await lags()).toMatchObject([{ end: 2, records: 0 }])
    await call((done) => producer.commitTransaction(answerMs, done as never))
    await expect.poll(async () => (await lags())[0]?.records).toBe(8)
  })

  test('what retention has deleted is not either', async () => {
    const { topic, tools, at, lags } = await begin()
    await tools.fill(topic, 0, 0, 100)
    await at(10)
    await tools.deleteBefore(topic, 0, 70)
    expect(await lags()).toMatchObject([{ committed: 10, end: 100, records: 30 }])
  })

  test('partitions that came later are read from their beginning', async () => {
    const { topic, tools, at, lags } = await begin()
    await at(0)
    await tools.grow(topic, 3)
    await tools.fill(topic, 2, 0, 7)
    await expect
      .poll(async () => (await lags()).map(({ partition, committed, records }) => [partition, committed, records]))
      .toEqual([
        [0, 0, 0],
        [1, null, 0],
        [2, null, 7],
      ])
  })

  test('groups that stand at several places of a partition are each looked up', async () => {
    const { topic, tools, at, group, measured } = await begin()
    await tools.fill(topic, 0, 0, 10)
    const groups = [group, fresh('second'), fresh('third')]
    for (const [index, name] of groups.entries()) await at(index * 5, 0, name)
    const found = await measured(groups)
    expect(found.map(({ group, partitions: [one] }) => [group, one?.records, one?.unreadSince === null])).toEqual(
      expect.arrayContaining([
        [groups[0], 10, false],
        [groups[1], 5, false],
        [groups[2], 0, true],
      ]),
    )
  })

  test('many partitions are looked up at once', async () => {
    const { topic, tools, at, lags } = await begin(12)
    const each = Array.from({ length: 12 }, (_, partition) => partition)
    await Promise.all(each.map((partition) => tools.fill(topic, partition, 0, 3_000)))
    for (const partition of each) await at(partition, partition)
    const found = await lags()
    expect(found.map(({ records }) => records)).toEqual(each.map((index) => 3_000 - index))
    expect(found.filter(({ unreadSince }) => unreadSince === null)).toEqual([])
  })

  test('a topic that was deleted is told no longer, and neither is a group that there is not', async () => {
    const { topic, tools, at, measured, group } = await begin()
    await tools.fill(topic, 0, 0, 3)
    await at(1)
    await tools.delete(topic)
    const partitions = async () => (await measured([group, 'nobody'])).flatMap(({ partitions }) => partitions)
    await expect.poll(partitions).toEqual([])
    const found = await measured([group, 'nobody'])
    expect(found.map((one) => one.group)).not.toContain('nobody')
  })

  test('a group has members, and then none', async () => {
    const { topic, group, tools, measured } = await begin()
    await tools.fill(topic, 0, 0, 3)
    const { server } = shared
    const reading = flow(kafka.source({ topic, group }), kafka.sink({ topic: fresh('copy') }))
    const connections = { kafka: kafka({ brokers: server.bootstrap }) }
    const topology = compile({ app: fresh('app'), connections, flows: { reading } }, { environment: {} })
    const state = async () => (await measured())[0]?.state
    let stop = () => Promise.resolve()
    runningEngine(topology, (ended) => {
      stop = ended
    })
    await expect.poll(state).toBe('stable')
    await expect.poll(async () => (await measured())[0]?.partitions.map(({ records }) => records)).toEqual([0])
    await stop()
    await expect.poll(state).toBe('empty')
    expect((await measured())[0]?.partitions).toMatchObject([{ committed: 3, records: 0 }])
  })

  test('all groups are measured where none is named', async () => {
    const { topic, tools, at, group } = await begin()
    await tools.fill(topic, 0, 0, 3)
    await at(1)
    const all = await measureGroups(shared.connection, undefined)
    expect(all.find((one) => one.group === group)).toMatchObject({ state: 'empty', partitions: [{ records: 2 }] })
  })

  test('where no broker answers it says so', async () => {
    const gone = connect('127.0.0.1:9')
    onTestFinished(() => gone.close())
    await expect(measureGroups(gone, undefined)).rejects.toMatchObject({
      code: 'WEIR_SOURCE_UNREACHABLE',
      culprit: 'system',
    })
  })

  test('an alert opens, is posted, and resolves', async () => {
    const { topic, group, tools, at } = await begin()
    const receiver = await Receiver.start()
    onTestFinished(() => receiver.close())
    await tools.fill(topic, 0, 0, 20)
    await at(0)
    const config = defineConfig({
      app: fresh('app'),
      connections: { kafka: kafka({ brokers: shared.server.bootstrap }) },
      checkpoints: memory(),
      flows: { 'lag-watch': lagWatch, 'alert-webhook': alertWebhook },
    })
    const environment = {
      LAG_GROUPS: group,
      LAG_EVERY_SEC: '0.2',
      LAG_FOR_SEC: '0.5',
      LAG_WARN_SECONDS: '1',
      ALERTS_TOPIC: fresh('alerts'),
      ALERT_WEBHOOK_URL: receiver.url,
      ALERT_WEBHOOK_SECRET: whsec,
      ALERT_WEBHOOK_GROUP_ID: fresh('hook'),
    }
    runningEngine(compile(config, { environment }))
    const byId = () => new Map(receiver.received.map(({ headers, body }) => [headers['webhook-id'], body]))
    const alerts = () => [...byId().values()].map((body) => JSON.parse(body) as { status: string; text: string })
    await expect.poll(() => alerts().map(({ status }) => status)).toEqual(['opened'])
    await at(20)
    await expect.poll(() => alerts().map(({ status }) => status)).toEqual(['opened', 'resolved'])
    expect(alerts()[0]?.text).toMatch(
      new RegExp(String.raw`^\[OPEN warn\] group '${group}' is 20 records behind in topic '${topic}', the oldest \d`),
    )
    expect(receiver.received.every((one) => isSigned(one, whsec))).toBe(true)
  })

  async function transactional(): Promise<Producer> {
    const producer = new (nativeClient().Producer)({
      'metadata.broker.list': shared.server.bootstrap,
      'transactional.id': fresh('tx'),
    })
    await call((done) => producer.connect({}, done))
    await call((done) => producer.initTransactions(answerMs, done as never))
    onTestFinished(() => disconnect(producer))
    return producer
  }

  async function produce(producer: Producer, topic: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) producer.produce(topic, 0, Buffer.from(`${index}`))
    await call((done) => producer.flush(answerMs, done as never))
  }

  async function transaction(
    producer: Producer,
    topic: string,
    count: number,
    end: 'commitTransaction' | 'abortTransaction',
  ): Promise<void> {
    await call((done) => producer.beginTransaction(done as never))
    await produce(producer, topic, count)
    await call((done) => producer[end](answerMs, done as never))
  }
})
