import { lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { redis } from '../../src/connectors/redis.js'
import { type AcquiredPartition, silentLogger } from '../../src/model/index.js'
import { RedisCheckpoints } from '../../src/redis/checkpoints.js'
import type { RedisConnection } from '../../src/redis/connection.js'
import { checkpointsContract, commitOf, done, one } from '../contracts/checkpoints.contract.js'
import { openRedis } from '../contracts/redis-under-test.js'
import { storedStateContract } from '../contracts/stored-state.contract.js'
import { missingRedis, RedisServer } from './redis-server.js'

const missing = missingRedis()

describe.skipIf(missing !== undefined)(`real Redis${missing === undefined ? '' : ` (${missing})`}`, () => {
  const start = async () => {
    const server = await RedisServer.start()
    const opened: RedisConnection[] = []
    return {
      server,
      connect: () => {
        const connection = openRedis({ url: server.url })
        opened.push(connection)
        return Promise.resolve(new RedisCheckpoints(connection, silentLogger))
      },
      close: async () => {
        for (const connection of opened) await connection.close()
        await server.close()
      },
    }
  }
  checkpointsContract('Redis', start)
  storedStateContract('Redis', async () => {
    const kind = await start()
    let cuts = 0
    // Now its connections, now the whole server.
    return { ...kind, cut: () => (cuts++ % 3 === 0 ? kind.server.restart() : kind.server.disconnectClients()) }
  })

  describe('its checkpoints', () => {
    let server: RedisServer
    beforeAll(async () => {
      server = await RedisServer.start()
    })
    afterAll(() => server.close())

    const open = (given: object = {}, log: string[] = [], from = server) => {
      const warn = (...[, text]: unknown[]) => void log.push(String(text))
      const write = (fields: unknown, text?: string) => warn(undefined, text ?? fields)
      const logger = { ...silentLogger, warn: write }
      const connection = openRedis({ url: from.url, ...given }, { log: logger })
      onTestFinished(() => connection.close())
      return new RedisCheckpoints(connection, logger)
    }
    const acquire = async (store: RedisCheckpoints, task: string) =>
      (await lastValueFrom(store.acquire(task, [one])))[0] as AcquiredPartition

    test('what joins the transaction is written with them, or not at all', async () => {
      const store = open()
      const heir = await acquire(store, 'joined')
      const write = (generation: number, value: string) => {
        const transaction = store.begin()
        transaction.join({ key: 'row', words: ['SET', 'row', value] })
        transaction.join({ key: 'rows', words: ['RPUSH', 'rows', Buffer.from(value), 1] })
        const partitions = [commitOf({ ...heir, generation }, { position: 7, sequence: 1, chunks: ['c'] })]
        return done(transaction.commit({ task: 'joined', partitions }))
      }
      const rows = () => server.use(async (client) => [await client.get('row'), await client.lrange('rows', 0, -1)])
      await expect(write(heir.generation - 1, 'zombie')).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      expect(await rows()).toEqual([null, []])
      await write(heir.generation, 'heir')
      expect(await rows()).toEqual(['heir', ['heir', '1']])
      expect((await acquire(store, 'joined')).progress?.position).toBe(7)
    })

    test('nothing joins a transaction that is over', async () => {
      const transaction = open().begin()
      await done(transaction.rollback())
      expect(() => transaction.join({ key: 'row', words: ['DEL', 'row'] })).toThrow('joining an epoch: it is over')
    })

    test('keys of a task share a hash tag, so that a cluster would keep them together', async () => {
      const store = open()
      const taken = await acquire(store, 'tagged')
      const partitions = [commitOf(taken, { position: 1, sequence: 1, chunks: ['c'] })]
      await done(store.begin().commit({ task: 'tagged', partitions }))
      const keys = await server.use((client) => client.keys('*tagged*'))
      expect(keys.sort()).toEqual(['weir:{tagged}', 'weir:{tagged}:events-0'])
    })

    test('survive the end of the server, and the connection with them', async () => {
      const store = open()
      const taken = await acquire(store, 'survivor')
      const partitions = [commitOf(taken, { position: 3, sequence: 1, chunks: ['c'] })]
      await done(store.begin().commit({ task: 'survivor', partitions }))
      await server.kill()
      await expect(acquire(store, 'survivor')).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
        // Whether the connection is refused or was cut under the command is a matter of moments.
        message: expect.stringMatching(/acquiring partitions for 'survivor': ./),
      })
      await server.start()
      await expect
        .poll(() => acquire(store, 'survivor').catch(() => undefined))
        .toMatchObject({ sequence: 1, progress: { position: 3 } })
    })

    test('that the server has lost although it acknowledged them are noticed, and leave no gap', async () => {
      const store = open()
      const taken = await acquire(store, 'fallen')
      const commit = (position: number) => {
        const partitions = [commitOf(taken, { position, sequence: position, chunks: [`c${position}`] })]
        return done(store.begin().commit({ task: 'fallen', partitions }))
      }
      await commit(1)
      const before = await server.use((client) => client.hgetall('weir:{fallen}'))
      await commit(2)
      await server.use((client) =>
        client.multi().hset('weir:{fallen}', before).xdel('weir:{fallen}:events-0', '2-1').exec(),
      )
      await expect(commit(3)).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_FENCED',
        remedy: 'restart',
        message: expect.stringContaining('lost commits'),
      })
      expect(await acquire(store, 'fallen')).toMatchObject({ sequence: 1, progress: { position: 1 } })
    })

    test('are warned about when the server may lose them', async () => {
      const careless = await RedisServer.start({
        settings: ['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru'],
      })
      onTestFinished(() => careless.close())
      const warnings: string[] = []
      await done(open({}, warnings, careless).open())
      expect(warnings).toEqual([expect.stringContaining('appendonly yes'), expect.stringContaining('noeviction')])
      const none: string[] = []
      await done(open({}, none).open())
      expect(none).toEqual([])
    })

    test('of a server that wants a password stop with a hint when it is wrong, and open when it is right', async () => {
      const guarded = await RedisServer.start({ settings: ['--requirepass', 'open sesame'] })
      onTestFinished(() => guarded.close())
      for (const given of [{}, { password: 'wrong' }]) {
        await expect(done(open(given, [], guarded).open())).rejects.toMatchObject({
          code: 'WEIR_CONFIG_INVALID',
          remedy: 'stop',
          hint: expect.stringMatching(/password/),
        })
      }
      await done(open({ password: 'open sesame' }, [], guarded).open())
    })

    test('are refused when a key is used by something else', async () => {
      await server.use((client) => client.set('weir:{taken}', 'by something else'))
      await expect(acquire(open(), 'taken')).rejects.toMatchObject({
        code: 'WEIR_CONFIG_INVALID',
        hint: expect.stringContaining('used by something else'),
      })
    })

    test('wait for memory', async () => {
      const store = open()
      const taken = await acquire(store, 'full')
      await server.use((client) => client.config('SET', 'maxmemory', '1mb'))
      const commit = () => {
        const partitions = [commitOf(taken, { position: 1, sequence: 1, chunks: ['c'] })]
        return done(store.begin().commit({ task: 'full', partitions }))
      }
      await expect(commit()).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
        hint: expect.stringContaining('maxmemory'),
      })
      await server.use((client) => client.config('SET', 'maxmemory', '0'))
      await commit()
    })
  })
})

test.each([
  [{ url: 'redis://ann:secret@cache:6380/2?family=6' }, 'redis://ann@cache:6380/2'],
  [{ url: 'rediss://cache', username: 'bob', password: 'secret' }, 'rediss://bob@cache'],
  [{ url: 'redis://:se@cret@cache' }, 'redis://…'],
])('the address of %j shows no secret', (given, address) => expect(openRedis(given).address).toBe(address))

test.each(['cache:6379', 'http://cache', ''])('%j is no url of Redis', (url) => {
  expect(redis.definition.options.safeParse({ url }).success).toBe(false)
})
