import { setTimeout as sleep } from 'node:timers/promises'
import { concat, defer, ignoreElements, lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { compile, flow, generate, redis } from '../../src/index.js'
import { silentLogger } from '../../src/model/index.js'
import { RedisCheckpoints } from '../../src/redis/checkpoints.js'
import type { RedisConnection } from '../../src/redis/connection.js'
import { RedisViews } from '../../src/redis/views.js'
import type { RedisWrite } from '../../src/redis/writes.js'
import { commitOf, done, one } from '../contracts/checkpoints.contract.js'
import { redisHarness, redisSinkUnderTest } from '../contracts/redis-sink-under-test.js'
import { openRedis } from '../contracts/redis-under-test.js'
import {
  heldUpContract,
  items,
  oddities,
  outages,
  recordsOf,
  refusals,
  sinkContract,
} from '../contracts/sinks.contract.js'
import { joiningViewStorageContract, viewStorageContract } from '../contracts/view-storage.contract.js'
import { runningEngine } from '../support/running-engine.js'
import { RedisCluster } from './redis-cluster.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { onWay } from './tcp-proxy.js'

const missing = missingRedis()
const because = missing === undefined ? '' : ` (${missing})`
const self = <V>(value: V) => value

describe.skipIf(missing !== undefined)(`the Redis sink on a real server${because}`, () => {
  let server: RedisServer
  let connection: RedisConnection

  beforeAll(async () => {
    server = await RedisServer.start()
    connection = openRedis({ url: server.url })
  })
  afterAll(async () => {
    await connection?.close()
    await server?.close()
  })

  const kinds = [
    ['hash', true],
    ['hash', false],
    ['stream', true],
  ] as const
  for (const [way, joins] of kinds) {
    sinkContract(
      `Redis, ${way}, ${joins ? 'in the transaction of the epoch' : 'on its own'}`,
      async () => {
        const opened = openRedis({ url: server.url })
        const outage = { begin: () => server.kill(), end: () => server.start() }
        const close = () => opened.close()
        return { ...(await redisSinkUnderTest({ connection: opened, way, joins, close })), outage }
      },
      refusals,
      oddities,
      outages,
    )
  }

  for (const joins of [false, true]) {
    heldUpContract(`Redis, ${joins ? 'in the transaction of the epoch' : 'on its own'}`, () =>
      onWay(
        server.port,
        (port) => openRedis({ url: `redis://127.0.0.1:${port}`, timeout: '1s' }),
        (connection, close) => redisSinkUnderTest({ connection, way: 'hash', joins, close }),
      ),
    )
  }

  const views = () => {
    const opened = openRedis({ url: server.url })
    return Promise.resolve({
      connect: () => new RedisViews(opened),
      connectBoth: () => ({ storage: new RedisViews(opened), checkpoints: new RedisCheckpoints(opened, silentLogger) }),
      close: () => opened.close(),
    })
  }
  viewStorageContract('Redis', views)
  joiningViewStorageContract('Redis', views)

  const sinkOf = async (options: Readonly<Record<string, unknown>>, joins = false) => {
    const sink = redisHarness(connection, { write: self, ...options }, joins)
    await sink.open()
    return sink
  }

  describe('what it writes', () => {
    beforeEach(() => server.use((client) => client.flushall()))

    test.each([true, false])('hashes, sorted sets, strings with a time to live (joined: %s)', async (joins) => {
      const sink = await sinkOf({}, joins)
      const writes: RedisWrite[][] = [
        [
          { hash: 'h', field: 'a', value: 1 },
          { hash: 'h', fields: { b: 'x', c: { d: 1 } } },
          { sortedSet: 'z', member: 'a', score: 2.5 },
          { sortedSet: 'z', member: 'b', score: -1 },
          { string: 's', value: new Uint8Array([0, 255, 10]), ttl: '1h' },
          { string: 't', value: 'for ever' },
        ],
        [{ hash: 'h', field: 'a', value: null }, { sortedSet: 'z', member: 'b', score: null }, { remove: 't' }],
      ]
      for (const write of writes) await done(sink.epoch(recordsOf(write)))
      await server.use(async (client) => {
        expect(await client.hgetall('h')).toEqual({ b: 'x', c: '{"d":1}' })
        expect(await client.zrange('z', '0', '-1', 'WITHSCORES')).toEqual(['a', '2.5'])
        expect(await client.getBuffer('s')).toEqual(Buffer.from([0, 255, 10]))
        expect(await client.pttl('s')).toBeGreaterThan(3_500_000)
        expect(await client.exists('t')).toBe(0)
      })
      expect(sink.rejected).toEqual([])
      await done(sink.epoch(recordsOf([[{ hash: 's', fields: { a: 1, b: null } }]])))
      expect(sink.rejected.map(({ error }) => error.message)).toEqual([expect.stringMatching(/^writing to key 's': ./)])
    })

    test('a list of writes, or none, for a value', async () => {
      const write = (domain: string | undefined) =>
        domain && [
          { hash: 'counts', field: domain, value: 1 },
          { sortedSet: 'busiest', member: domain, score: 1 },
        ]
      const sink = await sinkOf({ write })
      await done(sink.epoch(recordsOf(['en', undefined, 'de'])))
      expect(await server.use((client) => client.hkeys('counts'))).toEqual(['en', 'de'])
      expect(await server.use((client) => client.zcard('busiest'))).toBe(2)
    })

    test('a stream that keeps about so many entries', async () => {
      const write = (id: number) => ({ stream: 'log', fields: { id }, maxLength: 100 })
      const sink = await sinkOf({ write, append: true }, true)
      await done(sink.epoch(recordsOf(Array.from({ length: 1_000 }, (_, id) => id))))
      const length = await server.use((client) => client.xlen('log'))
      expect(length).toBeGreaterThanOrEqual(100)
      expect(length).toBeLessThan(400)
    })

    test('a stream needs the word of the flow that it may be added to', async () => {
      const sink = await sinkOf({ write: () => ({ stream: 'log', fields: { id: 1 } }) })
      await expect(done(sink.epoch(recordsOf([1])))).rejects.toMatchObject({
        code: 'WEIR_CONFIG_INVALID',
        hint: 'Give the sink `append: true`, if a replay may add to it again.',
      })
    })

    test('what can not be written is the fault of its record', async () => {
      const sink = await sinkOf({})
      const values = [
        { hash: 'h', field: 'a', value: Number.NaN },
        { hash: 'h', field: 'b', value: 1 },
      ]
      await done(sink.epoch(recordsOf(values)))
      expect(sink.rejected.map(({ error }) => error.message)).toEqual([
        "writing to Redis: NaN can't be written (column a)",
      ])
      expect(await server.use((client) => client.hkeys('h'))).toEqual(['b'])
    })

    const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`f${index}`, index]))
    const odd: Readonly<Record<string, unknown>> = {
      'a time to live that is no number': { string: 's', value: 1, ttl: Number.NaN },
      'an endless time to live': { string: 's', value: 1, ttl: Number.POSITIVE_INFINITY },
      'a time to live beyond all time': { string: 's', value: 1, ttl: '999999999999999999d' },
      'a time to live of no unit': { string: 's', value: 1, ttl: 'soon' },
      'no time to live': { string: 's', value: 1, ttl: null },
      'a length that is no number': { stream: 'log', fields: { a: 1 }, maxLength: Number.NaN },
      'a length that is a fraction': { stream: 'log', fields: { a: 1 }, maxLength: 1.5 },
      'a length that is text': { stream: 'log', fields: { a: 1 }, maxLength: 'long' },
      'an entry of too many fields': { stream: 'log', fields },
      'a field that throws': {
        hash: 'h',
        get fields() {
          throw new Error('no fields')
        },
      },
      'a score that is text': { sortedSet: 'z', member: 'm', score: '1' },
      'no write at all': 'text',
      'a write of nothing': {},
      'a key that is an object': { string: {}, value: 1 },
      'a key that this user may not write to': { string: 'other:s', value: 1 },
      'a hash that this user may not write to': { hash: 'other:h', field: 'a', value: 1 },
    }

    describe.each([true, false])('one record among others (joined: %s)', (joins) => {
      test.each(Object.entries(odd))('%s is rejected, and the others are written', async (what, bad) => {
        const isRight = what.includes('may not write')
        await server.use((client) =>
          client.acl('SETUSER', 'some', 'on', 'nopass', 'resetkeys', '~h', '~weir:*', '+@all'),
        )
        const url = new URL(server.url)
        if (isRight) url.username = 'some'
        const own = openRedis({ url: String(url), ...(isRight ? { password: 'any' } : {}) })
        onTestFinished(() => own.close())
        const sink = redisHarness(own, { write: (value: unknown) => value, append: true }, joins)
        await sink.open()
        const good = (field: string) => ({ hash: 'h', field, value: 1 })
        const epoch = () =>
          done(sink.epoch(recordsOf([good('a'), ...Array.from({ length: 10 }, () => bad), good('b')])))
        // A script is refused as a whole for a key that is only set, and tried again at once.
        await epoch().catch((error: unknown) => {
          expect(error).toMatchObject({ atOnce: true, remedy: 'retry' })
          return epoch()
        })
        expect(sink.rejected.map(({ error }) => error.culprit)).toEqual(Array.from({ length: 10 }, () => 'record'))
        expect(await server.use((client) => client.hkeys('h'))).toEqual(['a', 'b'])
      })
    })

    test('a key that changes its type under the epoch takes nothing of it, and the next try rejects its record', async () => {
      const sink = await sinkOf({}, true)
      const first = { hash: 'h', field: 'a', value: 1 }
      const other = { hash: 'other', field: 'b', value: 1 }
      const looks = () =>
        server.use(async (client) =>
          Number(/cmdstat_type:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0),
        )
      const before = await looks()
      const seize = async () => {
        // The first was gathered, and it was asked what its key is.
        await expect.poll(looks).toBeGreaterThan(before)
        await server.use((client) => client.set('h', 'seized'))
      }
      const late$ = concat(recordsOf([first]), defer(seize).pipe(ignoreElements()), recordsOf([other]))
      await expect(done(sink.epoch(late$))).rejects.toMatchObject({
        code: 'WEIR_SINK_FAILED',
        remedy: 'retry',
        message: expect.stringContaining("key 'h' has become a string meanwhile"),
      })
      expect(await server.use((client) => client.exists('other'))).toBe(0)
      await done(sink.epoch(recordsOf([first, other])))
      expect(sink.rejected.map(({ record }) => record.value)).toEqual([first])
      expect(await server.use((client) => client.hkeys('other'))).toEqual(['b'])
    })

    test('a server that is full is waited for', async () => {
      const sink = await sinkOf({ retries: 0 })
      await server.use((client) => client.config('SET', 'maxmemory', '1mb'))
      await expect(done(sink.epoch(recordsOf([{ string: 's', value: 1 }])))).rejects.toMatchObject({
        code: 'WEIR_SINK_FAILED',
        remedy: 'retry',
        hint: expect.stringContaining('maxmemory'),
      })
      await server.use((client) => client.config('SET', 'maxmemory', '0'))
      await done(sink.epoch(recordsOf([{ string: 's', value: 1 }])))
      expect(sink.rejected).toEqual([])
    })
  })

  test('a flow with its checkpoints beside its writes adds each entry once, whatever becomes of the server', async () => {
    await server.use((client) => client.flushall())
    const count = 8_000
    const declared = flow(
      generate({ rate: 4_000, count, value: (_random, index) => index }),
      redis.sink({
        write: (value: number) => ({ stream: 'entries', fields: { value } }),
        append: true,
        onError: 'fail',
      }),
    ).with({ checkpoints: 'redis', epoch: { every: 50 }, attempts: 100, guarantee: 'exactly-once' })
    const connections = { redis: redis({ url: server.url }) }
    const topology = compile({ app: 'load', connections, flows: { load: declared } }, { environment: {} })
    runningEngine(topology)
    for (const pause of [400, 300]) {
      await sleep(pause)
      await server.restart()
      await sleep(pause)
      await server.disconnectClients()
    }
    const entries = async () =>
      (await server.use((client) => client.xrange('entries', '-', '+'))).map(([, [, v]]) => Number(v))
    await expect.poll(async () => (await entries()).length).toBeGreaterThanOrEqual(count)
    expect((await entries()).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index))
  })

  describe('elsewhere than on one server', () => {
    test('a cluster of three', async () => {
      const cluster = await RedisCluster.start()
      const clustered = openRedis({ cluster: cluster.addresses.slice(0, 2) })
      onTestFinished(async () => {
        await clustered.close()
        await cluster.close()
      })
      const write = ({ id, text }: { id: number; text: string }) => ({ string: `item ${id}`, value: text })
      const sink = redisHarness(clustered, { write }, false)
      await sink.open()
      await done(sink.epoch(recordsOf(items(2_000))))
      const held = await Promise.all(cluster.nodes.map((node) => node.use((client) => client.keys('item *'))))
      expect(held.flat()).toHaveLength(2_000)
      for (const keys of held) expect(keys.length).toBeGreaterThan(400)

      // Its checkpoints lie together, and are found wherever they lie.
      const store = new RedisCheckpoints(clustered, silentLogger)
      await done(store.open())
      for (const task of ['app.a', 'app.b', 'app.c', 'app.d']) {
        const [taken] = await lastValueFrom(store.acquire(task, [one]))
        if (taken === undefined) throw new Error('nothing was acquired')
        const partitions = [commitOf(taken, { position: 5, sequence: 1, chunks: ['c'] })]
        await done(store.begin().commit({ task, partitions }))
        expect(await lastValueFrom(store.load(task, one))).toMatchObject({ sequence: 1 })
      }
      const listed = await lastValueFrom(store.list('app'))
      expect(listed.map(({ task }) => task).sort()).toEqual(['app.a', 'app.b', 'app.c', 'app.d'])

      const views = new RedisViews(clustered)
      for (const [generation, part] of ['p-0', 'p-1', 'p-2', 'p-3'].entries()) {
        const claim = { view: 'app/stats', part, generation, task: 'app.a', total: 4 }
        expect(await lastValueFrom(views.claim(claim))).toBeUndefined()
        const rows = [{ table: 't', key: part, value: generation }]
        await done(views.write({ ...claim, sequence: 1, replaces: true, rows, removed: [], at: 1 }))
      }
      const { tables } = await lastValueFrom(views.read('app/stats'))
      expect(Object.fromEntries(tables.get('t') ?? [])).toEqual({ 'p-0': 0, 'p-1': 1, 'p-2': 2, 'p-3': 3 })

      // A node that is away fails the epoch, and is used again when it is back.
      const [first] = cluster.nodes
      await first?.kill()
      await expect(done(sink.epoch(recordsOf(items(100))))).rejects.toMatchObject({
        name: 'WeirError',
        remedy: 'retry',
      })
      await first?.start()
      const again = () =>
        done(sink.epoch(recordsOf(items(100)))).then(
          () => 'written',
          () => 'failed',
        )
      await expect.poll(again).toBe('written')
      expect(sink.rejected).toEqual([])
    })

    test('a server with a replica, and a sentinel that makes it the primary', async () => {
      const primary = await RedisServer.start()
      const replica = await RedisServer.start({ settings: ['--replicaof', '127.0.0.1', String(primary.port)] })
      const sentinel = await RedisServer.start({
        sentinel: [
          `sentinel monitor shop 127.0.0.1 ${primary.port} 1`,
          'sentinel down-after-milliseconds shop 3000',
          'sentinel failover-timeout shop 3000',
        ].join('\n'),
      })
      const guarded = openRedis({ sentinel: { nodes: [`127.0.0.1:${sentinel.port}`], master: 'shop' } })
      onTestFinished(async () => {
        await guarded.close()
        for (const one of [sentinel, replica, primary]) await one.close()
      })
      const isSynced = () =>
        replica.use(async (client) => (await client.info('replication')).includes('link_status:up'))
      await expect.poll(isSynced).toBe(true)
      const write = ({ id, text }: { id: number; text: string }) => ({ hash: 'items', field: id, value: text })
      const sink = redisHarness(guarded, { write }, true)
      await sink.open()
      await done(sink.epoch(recordsOf(items(10))))
      const isKnown = () =>
        sentinel.use(async (client) => String(await client.call('SENTINEL', 'REPLICAS', 'shop')).length > 0)
      await expect.poll(isKnown).toBe(true)
      await primary.kill()
      await expect(done(sink.epoch(recordsOf(items(10, 10))))).rejects.toMatchObject({ remedy: 'retry' })
      const again = async () => {
        await sink.committed()
        await done(sink.epoch(recordsOf(items(10, 10))))
        return replica.use((client) => client.hlen('items'))
      }
      await expect.poll(() => again().catch(() => 0), { interval: 200 }).toBe(20)
    })
  })
})

test('on a cluster a flow with checkpoints there writes in no transaction', () => {
  const flowOn = (options: Parameters<typeof redis>[0]) => {
    const declared = flow(
      generate({ rate: 1, value: () => 1 }),
      redis.sink({ write: (value: number) => ({ string: 's', value }), onError: 'fail' }),
    ).with({ checkpoints: 'redis' })
    const config = { app: 'test', connections: { redis: redis(options) }, flows: { one: declared } }
    return compile(config, { environment: {} }).flows[0]
  }
  expect(flowOn({ url: 'redis://localhost' })?.guarantee).toBe('exactly-once')
  expect(flowOn({ cluster: ['localhost:7000'] })?.guarantee).toBe('effectively-once')
})

test.each([
  [{ cluster: ['a:1', 'b:2'], username: 'ann', password: 'secret' }, 'redis://ann@a:1,b:2'],
  [{ sentinel: { nodes: ['a:1'], master: 'shop', password: 'secret' }, ssl: true }, 'rediss://shop[a:1]'],
])('the address of %j shows no secret', (given, address) => expect(openRedis(given).address).toBe(address))

test.each([
  {},
  { url: 'redis://a', cluster: ['a:1'] },
  { cluster: [] },
  { cluster: ['redis://a:1'] },
  { cluster: ['a:1'], database: 2 },
  { sentinel: { nodes: ['a:1'] } },
])('%j is no place of Redis', (given) => expect(redis.definition.options.safeParse(given).success).toBe(false))
