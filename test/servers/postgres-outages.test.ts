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

/** Rows of the numbers up to `count`, in the transaction of the positions, or beside them. */
function numbers(url: string, options: Partial<PostgresSinkOptions<number>> = {}) {
  const declared = flow(
    generate({ rate: 1_500, count, value: (_random, id) => id }),
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
  const { engine } = runningEngine(topology)
  return () => engine.status()[0]!
}

describe.skipIf(missing !== undefined)('an outage of PostgreSQL', () => {
  let server: PostgresServer

  const written = async (from: PostgresServer) => {
    const [row] = await from.query<{ all: number; each: number }>(
      'SELECT count(*)::int AS all, count(DISTINCT id)::int AS each FROM numbers',
    )
    return row
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
      // What is acknowledged the standby has.
      await primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
      await primary.query('SELECT pg_reload_conf()')
      const way = await TcpProxy.start(primary.port)
      onTestFinished(() => way.close())
      const status = numbers(`postgres://weir@127.0.0.1:${way.port}/postgres`, options)
      await expect.poll(async () => (await written(primary))?.all, patience).toBeGreaterThan(1_000)
      way.target = standby.port
      await primary.kill()
      way.cut()
      await expect
        .poll(() => status().error?.message, patience)
        .toMatch(/cannot execute \w+ in a read-only transaction/)
      expect(status()).toMatchObject({ state: 'retrying', failingSince: expect.any(Number) })
      expect(status().error).toMatchObject({
        culprit: 'system',
        hint: 'This server is a standby, or read-only: it is tried again, on a new connection.',
      })
      await standby.query('SELECT pg_promote()')
      await standby.query("ALTER SYSTEM SET synchronous_standby_names = ''")
      await standby.query('SELECT pg_reload_conf()')
      await expect.poll(() => written(standby), patience).toEqual({ all: count, each: count })
      await expect.poll(() => status().error, patience).toBeUndefined()
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
      const status = numbers(own.url)
      await expect.poll(async () => (await written(own))?.all, patience).toBeGreaterThan(500)
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
      await expect.poll(() => written(own), patience).toEqual({ all: count, each: count })
      await expect.poll(() => status().error, patience).toBeUndefined()
    })

    test('is waited for, and each row is written once', async () => {
      const status = numbers(server.url)
      await expect.poll(() => status().error?.message, patience).toContain('No space left on device')
      expect(status()).toMatchObject({ state: 'retrying', error: { culprit: 'system', code: 'WEIR_SINK_FAILED' } })
      const { failures } = status()
      await expect.poll(() => status().failures, patience).toBeGreaterThan(failures + 1)
      execFileSync('mount', ['-o', 'remount,size=64m', disk as string])
      await expect.poll(() => written(server), patience).toEqual({ all: count, each: count })
      await expect.poll(() => status().error, patience).toBeUndefined()
    })
  })
})
