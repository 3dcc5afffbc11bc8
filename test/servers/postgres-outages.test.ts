import { execFileSync } from 'node:child_process'
import { chownSync, cpSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { compile, flow, generate, type PostgresSinkOptions, postgres } from '../../src/index.js'
import { runningEngine } from '../support/running-engine.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { isRoot } from './server-support.js'
import { TcpProxy } from './tcp-proxy.js'

const missing = missingPostgres()
const count = 6_000
const patience = { timeout: 90_000, interval: 100 }

/** Rows of numbers, until it is told to end if no `count` is given, in the transaction of the positions, or beside them. */
function numbers(url: string, options: Partial<PostgresSinkOptions<number>> = {}, count?: number) {
  const declared = flow(
    generate({ rate: 1_500, ...(count === undefined ? {} : { count }), value: (_random, id) => id }),
    postgres.sink({
      table: 'numbers',
      row: (id: number) => ({ id, text: 'x'.repeat(500) }),
      onError: 'fail',
      ...options,
    }),
  ).with({ checkpoints: 'postgres', attempts: 2, epoch: { every: 100 } })
  const topology = compile(
    { app: 'numbers', connections: { postgres: postgres({ url }) }, flows: { numbers: declared } },
    { environment: {} },
  )
  const { engine, running } = runningEngine(topology)
  const end = () => {
    engine.stop()
    return new Promise<void>((resolve) => running.add(resolve))
  }
  return { status: () => engine.status()[0]!, end }
}

describe.skipIf(missing !== undefined)('an outage of PostgreSQL', () => {
  let server: PostgresServer

  const written = async (from: PostgresServer) => {
    const [row] = await from.query<{ all: number; each: number; last: number }>(
      'SELECT count(*)::int AS all, count(DISTINCT id)::int AS each, max(id) AS last FROM numbers',
    )
    return row as { all: number; each: number; last: number }
  }

  /** It goes on when the outage is over, and until it ends has written each row once. */
  async function goesOn({ status, end }: ReturnType<typeof numbers>, at: PostgresServer): Promise<void> {
    const { all: before } = await written(at)
    await expect.poll(async () => (await written(at)).all, patience).toBeGreaterThan(before + 500)
    await expect.poll(() => status().error, patience).toBeUndefined()
    await end()
    const { all, ...rows } = await written(at)
    expect(rows).toEqual({ each: all, last: all - 1 })
  }

  describe('that ends with a standby', () => {
    test.each([
      ['by INSERT', { copyFrom: 100_000 }],
      ['by COPY', { copyFrom: 1 }],
    ])('is waited for until that is promoted, %s, and each row is written once', async (_, options) => {
      const primary = await PostgresServer.start({ fsync: true })
      onTestFinished(() => primary.close())
      await primary.query('CREATE TABLE numbers (id integer, text text)')
      const standby = await primary.standby()
      onTestFinished(() => standby.close())
      const way = await TcpProxy.start(primary.port)
      onTestFinished(() => way.close())
      const flow = numbers(`postgres://weir@127.0.0.1:${way.port}/postgres`, options)
      const { status } = flow
      await expect.poll(async () => (await written(primary)).all, patience).toBeGreaterThan(1_000)
      way.target = standby.port
      await primary.kill()
      way.cut()
      await expect
        .poll(() => status().error?.message, patience)
        .toMatch(/cannot execute \w+ in a read-only transaction/)
      await expect.poll(status, patience).toMatchObject({
        state: 'retrying',
        failingSince: expect.any(Number),
        error: {
          culprit: 'system',
          hint: 'This server is a standby, or read-only: it is tried again, on a new connection.',
        },
      })
      await standby.query('SELECT pg_promote()')
      await standby.query("ALTER SYSTEM SET synchronous_standby_names = ''")
      await standby.query('SELECT pg_reload_conf()')
      await goesOn(flow, standby)
    })
  })

  describe.skipIf(!isRoot)('for want of space', () => {
    let disk: string | undefined
    beforeAll(async () => {
      server = await PostgresServer.start()
      const folder = server.folder('disk')
      const { uid, gid } = statSync(folder)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder])
      disk = folder
      chownSync(folder, uid, gid)
      await server.query(`CREATE TABLESPACE small LOCATION '${folder}'`)
      await server.query('CREATE TABLE numbers (id integer, text text) TABLESPACE small')
    })
    afterAll(async () => {
      if (disk !== undefined) execFileSync('umount', ['--lazy', disk])
      await server?.close()
    })

    test('of its log, which ends the server, is waited for, and each row is written once', async () => {
      const own = await PostgresServer.start({ fsync: true })
      const log = own.folder('log-disk')
      await own.stop()
      const { uid, gid } = statSync(log)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', log])
      onTestFinished(async () => {
        await own.stop('immediate')
        execFileSync('umount', ['--lazy', log])
        await own.close()
      })
      const data = join(log, '..', 'data')
      cpSync(join(data, 'pg_wal'), join(log, 'pg_wal'), { recursive: true })
      rmSync(join(data, 'pg_wal'), { recursive: true })
      symlinkSync(join(log, 'pg_wal'), join(data, 'pg_wal'))
      execFileSync('chown', ['-R', `${uid}:${gid}`, log])
      await own.start()
      await own.query('CREATE TABLE numbers (id integer, text text)')
      const flow = numbers(own.url)
      const { status } = flow
      await expect.poll(async () => (await written(own)).all, patience).toBeGreaterThan(500)
      expect(() => writeFileSync(join(log, 'filler'), Buffer.alloc(40_000_000))).toThrow('ENOSPC')
      // What comes then needs a segment that there is no room for.
      while (
        await own.query('SELECT pg_switch_wal()').then(
          () => true,
          () => false,
        )
      );
      await expect.poll(() => status().error, patience).toMatchObject({ culprit: 'system' })
      await own.stop('immediate')
      execFileSync('mount', ['-o', 'remount,size=200m', log])
      await own.start()
      await goesOn(flow, own)
    })

    test('is waited for, and each row is written once', async () => {
      const { status } = numbers(server.url, {}, count)
      await expect.poll(() => status().error?.message, patience).toContain('No space left on device')
      await expect
        .poll(status, patience)
        .toMatchObject({ state: 'retrying', error: { culprit: 'system', code: 'WEIR_SINK_FAILED' } })
      const { failures } = status()
      await expect.poll(() => status().failures, patience).toBeGreaterThan(failures + 1)
      execFileSync('mount', ['-o', 'remount,size=64m', disk as string])
      await expect.poll(() => written(server), patience).toEqual({ all: count, each: count, last: count - 1 })
      await expect.poll(() => status().error, patience).toBeUndefined()
    })
  })
})
