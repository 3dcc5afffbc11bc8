import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { compile, flow, generate, redis } from '../../src/index.js'
import { runningEngine } from '../support/running-engine.js'
import { RedisCluster } from './redis-cluster.js'
import { missingRedis, RedisServer } from './redis-server.js'
import { findProgram } from './server-support.js'

const missing = missingRedis()
const count = 6_000
const patience = { timeout: 90_000, interval: 50 }
const run = promisify(execFile)

/** A flow of numbers, until it is told to end if no `count` is given, with its checkpoints beside what it writes. */
function numbers(where: Parameters<typeof redis>[0], write: (id: number) => object, count?: number) {
  const declared = flow(
    generate({ rate: 1_500, ...(count === undefined ? {} : { count }), value: (_random, id) => id }),
    redis.sink({ write: write as never, append: true, onError: 'fail' }),
  ).with({ checkpoints: 'redis', attempts: 2, epoch: { every: 50 } })
  const connections = { redis: redis(where) }
  const topology = compile({ app: 'numbers', connections, flows: { numbers: declared } }, { environment: {} })
  const { engine, running } = runningEngine(topology)
  const end = () => {
    engine.stop()
    return new Promise<void>((resolve) => running.add(resolve))
  }
  return { status: () => engine.status()[0]!, end }
}

const entry = (id: number) => ({ stream: 'numbers', fields: { id } })

async function started(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start({ settings })
  onTestFinished(() => server.close())
  return server
}

const entries = (server: RedisServer) =>
  server.use(async (client) => (await client.xrange('numbers', '-', '+')).map(([, [, id]]) => Number(id)))
const length = (server: RedisServer) => server.use((client) => client.xlen('numbers'))

/** It goes on when the outage is over, and until it ends has written each number once, in order. */
async function goesOn({ status, end }: ReturnType<typeof numbers>, server: RedisServer): Promise<void> {
  const before = await length(server)
  await expect.poll(() => length(server), patience).toBeGreaterThan(before + 500)
  await expect.poll(() => status().error, patience).toBeUndefined()
  await end()
  const found = await entries(server)
  expect(found).toEqual(Array.from(found, (_, id) => id))
}

/** Loads so slowly that a test can look. */
const slowly = ['--key-load-delay', '300', '--loading-process-events-interval-bytes', '1024']

/** Fills a server, so that it takes long to load all that. */
async function fill(server: RedisServer, keys: readonly string[]): Promise<void> {
  await server.use((client) => client.mset(Object.fromEntries(keys.map((key) => [key, 'x'.repeat(100)]))))
  // Keys are loaded slowly from a base file only.
  await server.use((client) => client.bgrewriteaof())
  const isWritten = () =>
    server.use(async (client) =>
      /aof_rewrite_in_progress:0[^]*aof_last_bgrewrite_status:ok/.test(await client.info('persistence')),
    )
  await expect.poll(isWritten, patience).toBe(true)
}

describe.skipIf(missing !== undefined)('an outage of Redis', () => {
  test("for a file that it can't save is waited for, and each number is added once", async () => {
    const server = await started(['--save', '1 1'])
    const [, directory = ''] = await server.use((client) => client.config('GET', 'dir') as Promise<string[]>)
    const flow = numbers({ url: server.url }, entry)
    const { status } = flow
    await expect.poll(() => length(server), patience).toBeGreaterThan(500)
    const inTheWay = join(directory, 'dump.rdb')
    rmSync(inTheWay, { force: true })
    mkdirSync(join(inTheWay, 'full'), { recursive: true })
    await expect.poll(() => status().error?.message, patience).toMatch(/MISCONF/)
    await expect.poll(status, patience).toMatchObject({ state: 'retrying', failingSince: expect.any(Number) })
    expect(status().error).toMatchObject({
      culprit: 'system',
      hint: expect.stringContaining("can't write to its disk"),
    })
    rmSync(inTheWay, { recursive: true })
    await goesOn(flow, server)
  })

  test('for want of memory is waited for, and each number is added once', async () => {
    const server = await started()
    const flow = numbers({ url: server.url }, entry)
    const { status } = flow
    await expect.poll(() => length(server), patience).toBeGreaterThan(500)
    await server.use((client) => client.config('SET', 'maxmemory', '1mb'))
    await expect.poll(() => status().error?.message, patience).toMatch(/OOM/)
    expect(status().error).toMatchObject({ culprit: 'system', hint: expect.stringContaining('maxmemory') })
    await server.use((client) => client.config('SET', 'maxmemory', '0'))
    await goesOn(flow, server)
  })

  test('that loads a large file after it was killed is told so, and each number is added once', async () => {
    const server = await started(slowly)
    await fill(
      server,
      Array.from({ length: 20_000 }, (_, index) => `key ${index}`),
    )
    const flow = numbers({ url: server.url }, entry)
    const { status } = flow
    await expect.poll(() => length(server), patience).toBeGreaterThan(500)
    await server.kill()
    const starting = server.start()
    await expect.poll(() => status().error?.message, patience).toMatch(/LOADING/)
    expect(status().error).toMatchObject({ culprit: 'system', hint: expect.stringContaining('is starting') })
    await starting
    await goesOn(flow, server)
  })

  test('that is one node of a cluster that loads a large file is waited for, and each number is there', async () => {
    const cluster = await RedisCluster.start(slowly)
    onTestFinished(() => cluster.close())
    const [node] = cluster.nodes as [RedisServer]
    // All in one slot of the first node.
    await fill(
      node,
      Array.from({ length: 20_000 }, (_, index) => `{b}${index}`),
    )
    const { status } = numbers({ cluster: cluster.addresses }, (id) => ({ string: `number ${id}`, value: id }), count)
    const keys = async () => {
      const held = await Promise.all(cluster.nodes.map((one) => one.use((client) => client.keys('number *'))))
      return new Set(held.flat()).size
    }
    await expect.poll(keys, patience).toBeGreaterThan(500)
    await node.kill()
    await node.start()
    await expect.poll(keys, patience).toBe(count)
    await expect.poll(() => status().error, patience).toBeUndefined()
  })

  test('is none where the slots of a cluster move while a flow writes and commits there', async () => {
    const cluster = await RedisCluster.start()
    onTestFinished(() => cluster.close())
    const [first, second] = cluster.nodes as [RedisServer, RedisServer]
    const idOf = (node: RedisServer) => node.use(async (client) => String(await client.call('CLUSTER', 'MYID')))
    const ids = [await idOf(first), await idOf(second)]
    const { status } = numbers({ cluster: cluster.addresses }, (id) => ({ string: `number ${id}`, value: id }), count)
    const keys = async () => {
      const held = await Promise.all(cluster.nodes.map((node) => node.use((client) => client.keys('number *'))))
      return held.flat()
    }
    await expect.poll(async () => (await keys()).length, patience).toBeGreaterThan(500)
    const errors = new Set<string>()
    const watching = setInterval(() => errors.add(status().error?.message ?? ''), 20)
    onTestFinished(() => clearInterval(watching))
    const cli = findProgram('redis-cli') as string
    for (const [from, to] of [ids, [...ids].reverse()] as [string, string][]) {
      const move = ['--cluster-from', from, '--cluster-to', to, '--cluster-slots', '4000', '--cluster-yes']
      await run(cli, ['--cluster', 'reshard', first.url.replace('redis://', ''), ...move])
    }
    await expect.poll(async () => (await keys()).length, patience).toBe(count)
    expect([...errors]).toEqual([''])
    expect(new Set(await keys()).size).toBe(count)
  })
})
