import { afterEach, describe, expect, test } from 'vitest'
import { type ClientSettings, call, codes, disconnect, nativeClient } from '../../src/kafka/client.js'
import { EmbeddedBroker } from '../../src/kafka/embedded.js'
import { Brokers } from '../../src/kafka/fetch/brokers.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { silentLogger } from '../../src/model/index.js'
import { answering, FakeBroker, keys, type Manner } from '../support/fake-broker.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(port?: number): Promise<FakeBroker> {
  const broker = await FakeBroker.start(undefined, port)
  closing.push(() => broker.close())
  return broker
}

function brokersOf(bootstrap: string, client: ClientSettings = {}): Brokers {
  const fast = { 'reconnect.backoff.ms': 10, 'reconnect.backoff.max.ms': 50 }
  const settings = { 'metadata.broker.list': bootstrap, ...fast, ...client }
  const brokers = new Brokers(() => Promise.resolve(settings))
  closing.push(() => brokers.close())
  return brokers
}

const silence: Manner = () => undefined
const nobody = '127.0.0.1:1'

describe('the brokers of a cluster', () => {
  test('are those of the embedded one', async () => {
    const embedded = await EmbeddedBroker.start(silentLogger)
    closing.push(() => embedded.close())
    const producer = new (nativeClient().Producer)({ 'metadata.broker.list': embedded.bootstrap })
    closing.push(() => disconnect(producer))
    // Asked by a producer, it makes a topic.
    await call((done) => producer.connect({ topic: 'topic' }, done))
    const brokers = brokersOf(embedded.bootstrap)
    await brokers.refresh(['topic'])
    const leader = brokers.leaderOf('topic', 0)
    const partitions = [{ partition: 0, leaderEpoch: -1, offset: 0, lastFetchedEpoch: -1, maxBytes: 1_000 }]
    const request = { maxWaitMs: 10, minBytes: 1, maxBytes: 1_000, rack: '', topics: [{ topic: 'topic', partitions }] }
    const connection = await brokers.connectionTo(leader?.node ?? -1)
    expect(await connection.request(fetch, request, 5_000)).toMatchObject({
      error: 0,
      partitions: [{ topic: 'topic', error: 0, highWatermark: 0 }],
    })
  })

  test('tell who leads, and are connected to once each, however many ask', async () => {
    const [one, two] = [await start(), await start()]
    const nodes = [
      { id: 1, port: one.port },
      { id: 2, port: two.port },
    ]
    const topics = [
      {
        topic: 'topic',
        leaders: [
          [1, 3],
          [2, 4],
          [-1, 4],
        ] as const,
      },
      { topic: 'none', error: 3 },
    ]
    const metadata = answering((to) => one.describe(to, nodes, topics))
    for (const broker of [one, two]) broker.manners[keys.metadata] = metadata
    const brokers = brokersOf(`${nobody},${one.bootstrap}`)
    await brokers.refresh(['topic', 'none'])
    expect(brokers.leaderOf('topic', 0)).toMatchObject({ node: 1, epoch: 3 })
    expect(brokers.leaderOf('topic', 1)).toMatchObject({ node: 2, epoch: 4 })
    expect([brokers.leaderOf('topic', 2), brokers.leaderOf('topic', 3), brokers.leaderOf('none', 0)]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect([brokers.errorOf('topic'), brokers.errorOf('none')]).toEqual([0, 3])
    const given = await Promise.all([1, 2, 2, 1].map((node) => brokers.connectionTo(node)))
    expect(new Set(given).size).toBe(2)
    expect([one.connections, two.connections]).toEqual([1, 1])
    await expect(brokers.connectionTo(3)).rejects.toMatchObject({ message: 'there is no broker 3 in the cluster' })
  })

  test('are asked one question at a time, about all that was wanted meanwhile', async () => {
    const broker = await start()
    const brokers = brokersOf(broker.bootstrap)
    const asking = [brokers.refresh(['a']), brokers.refresh(['b'])]
    await Promise.all(asking)
    broker.questions.length = 0
    await Promise.all([brokers.refresh(['a']), brokers.refresh(['b']), brokers.refresh(['a'])])
    expect(broker.questions.map(({ body }) => body.toString('latin1').replace(/[^a-z]/g, ''))).toEqual(['ab'])
  })

  test('are read on when one that was away is there again, at another place', async () => {
    const [seed, old] = [await start(), await start()]
    const at = (port: number) => answering((to) => seed.describe(to, [{ id: 7, port }]))
    for (const broker of [seed, old]) broker.manners[keys.metadata] = at(old.port)
    const brokers = brokersOf(seed.bootstrap)
    await brokers.refresh([])
    const before = await brokers.connectionTo(7)
    const lost = new Promise((resolve) => {
      const { onLost } = before
      before.onLost = (error) => {
        onLost(error)
        resolve(error)
      }
    })
    await old.close()
    expect(await lost).toMatchObject({ code: codes.transport })
    await expect(brokers.connectionTo(7)).rejects.toMatchObject({ code: codes.transport })
    const moved = await start()
    for (const broker of [seed, moved]) broker.manners[keys.metadata] = at(moved.port)
    await brokers.refresh([])
    expect((await brokers.connectionTo(7)).isOpen).toBe(true)
    expect([moved.open, seed.open]).toEqual([1, 0])
  })

  test('are asked after each other where one is slow, and none is waited for in vain', async () => {
    const [slow, well] = [await start(), await start()]
    slow.manners[keys.versions] = silence
    const brokers = brokersOf(`${slow.bootstrap},${well.bootstrap}`)
    const began = performance.now()
    await brokers.refresh([])
    expect(performance.now() - began).toBeLessThan(20_000)
  })

  test('tell the most telling error where none answers', async () => {
    const refusing = await start()
    refusing.manners[keys.handshake] = answering((to) => {
      to.int16(33)
      to.array(['PLAIN'], (name) => to.string(name))
    })
    const login = { 'security.protocol': 'sasl_plaintext', 'sasl.mechanism': 'SCRAM-SHA-256' }
    await expect(brokersOf(`${nobody},${refusing.bootstrap},${nobody}`, login).refresh([])).rejects.toMatchObject({
      code: codes.authentication,
      broker: refusing.bootstrap,
    })
    await expect(brokersOf(nobody).refresh([])).rejects.toMatchObject({ code: codes.transport, broker: nobody })
  })

  test('are tried again with pauses that grow', async () => {
    const broker = await start()
    const hangUp: Manner = ({ socket }) => socket.end()
    broker.manners[keys.versions] = hangUp
    const brokers = brokersOf(broker.bootstrap, { 'reconnect.backoff.ms': 40, 'reconnect.backoff.max.ms': 200 })
    const began = performance.now()
    for (let attempt = 0; attempt < 4; attempt++)
      await expect(brokers.refresh([])).rejects.toMatchObject({ code: codes.hungUp })
    // 40, 80 and 160, less a quarter at most.
    expect(performance.now() - began).toBeGreaterThan(210)
    expect(broker.connections).toBe(4)
    Reflect.deleteProperty(broker.manners, keys.versions)
    await brokers.refresh([])
  })

  test('are of one cluster: no connection leads to another one, and nothing that it says counts', async () => {
    const broker = await start()
    const leads = (node: number) => broker.leads([{ topic: 'topic', leaders: [[node, 1]] }])
    leads(1)
    const brokers = brokersOf(broker.bootstrap)
    await brokers.refresh(['topic'])
    broker.cluster = 'another'
    leads(9)
    const foreign = { code: codes.foreignCluster, message: 'cluster another answers, where one has until now' }
    await expect(brokers.refresh(['topic'])).rejects.toMatchObject(foreign)
    broker.cut()
    await expect.poll(() => broker.open).toBe(0)
    await expect(brokers.connectionTo(1)).rejects.toMatchObject(foreign)
    await expect.poll(() => broker.open).toBe(0)
    expect(brokers.leaderOf('topic', 0)).toMatchObject({ node: 1 })
    broker.cluster = 'one'
    expect((await brokers.connectionTo(1)).isOpen).toBe(true)
  })

  test('that have not heard of a new leader yet are not believed', async () => {
    const broker = await start()
    const brokers = brokersOf(broker.bootstrap)
    const told = async (node: number, epoch: number) => {
      broker.leads([{ topic: 'topic', leaders: [[node, epoch]] }])
      await brokers.refresh(['topic'])
      return brokers.leaderOf('topic', 0)
    }
    expect(await told(1, 5)).toMatchObject({ node: 1, epoch: 5 })
    expect(await told(2, 6)).toMatchObject({ node: 2, epoch: 6 })
    expect(await told(1, 5)).toMatchObject({ node: 2, epoch: 6 })
    expect(await told(3, 7)).toMatchObject({ node: 3, epoch: 7 })
  })

  test('are left at once when they are closed, also while a connection is made', async () => {
    const broker = await start()
    const brokers = brokersOf(broker.bootstrap)
    await brokers.refresh([])
    const connection = await brokers.connectionTo(1)
    broker.manners[keys.fetch] = silence
    const nothing = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, rack: '', topics: [] }
    const asked = expect(connection.request(fetch, nothing, 5_000)).rejects.toMatchObject({ code: codes.transport })
    broker.manners[keys.versions] = silence
    const other = brokersOf(broker.bootstrap)
    const connecting = expect(other.refresh([])).rejects.toMatchObject({ code: codes.transport })
    await expect.poll(() => broker.connections).toBe(2)
    brokers.close()
    other.close()
    await Promise.all([asked, connecting])
    await expect.poll(() => broker.open).toBe(0)
    await expect(brokers.refresh([])).rejects.toMatchObject({ code: codes.transport })
    await expect(brokers.connectionTo(1)).rejects.toMatchObject({ code: codes.transport })
  })
})
