import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { compile, flow, generate, mysql } from '../../src/index.js'
import { runningEngine } from '../support/running-engine.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { isRoot, ownerOf } from './server-support.js'

const missing = missingMariadb()
const count = 3_000
const patience = { timeout: 90_000, interval: 100 }

describe.skipIf(missing !== undefined)('an outage of MySQL', () => {
  let server: MariadbServer

  beforeAll(async () => {
    server = await MariadbServer.start()
  })
  afterAll(() => server?.close())
  beforeEach(() => server.query('DROP TABLE IF EXISTS numbers'))

  /** Rows of the numbers up to `count`, in the transaction of the positions. */
  function numbers(app: string) {
    const declared = flow(
      generate({ rate: 1_500, count, value: (_random, id) => id }),
      mysql.sink({ table: 'numbers', row: (id: number) => ({ id, text: 'x'.repeat(1_000) }), onError: 'fail' }),
    ).with({ checkpoints: 'mysql', attempts: 2, epoch: { every: 100 } })
    const connections = { mysql: mysql({ url: server.url }) }
    const { engine } = runningEngine(compile({ app, connections, flows: { numbers: declared } }, { environment: {} }))
    return () => engine.status()[0]!
  }

  const written = async () => {
    const [row] = await server.query<{ all: number; each: number }>(
      'SELECT count(*) AS `all`, count(DISTINCT id) AS `each` FROM numbers',
    )
    return row
  }

  test.skipIf(!isRoot)('for want of space is waited for, and each row is written once', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'weir-disk-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk])
    onTestFinished(async () => {
      await server.query('DROP TABLE IF EXISTS numbers')
      execFileSync('umount', ['--lazy', disk])
      rmSync(disk, { recursive: true })
    })
    const { uid = 0, gid = 0 } = ownerOf('mysql') ?? {}
    chownSync(disk, uid, gid)
    await server.query(`CREATE TABLE numbers (id INT, text TEXT) DATA DIRECTORY = '${disk}'`)
    const status = numbers('disk')
    // MariaDB 10.11 ends itself where a page finds no room.
    await expect.poll(() => status(), patience).toMatchObject({ state: 'retrying', error: { culprit: 'system' } })
    execFileSync('mount', ['-o', 'remount,size=64m', disk])
    await server.restart()
    await expect.poll(written, patience).toEqual({ all: count, each: count })
    await expect.poll(() => status().error, patience).toBeUndefined()
  })

  test('for a trigger whose definer is gone is waited for, and says what to do', async () => {
    await server.query('CREATE TABLE numbers (id INT, text TEXT)')
    const someone = ["CREATE USER someone@'%'", "GRANT ALL ON *.* TO someone@'%'"].join(';')
    await server.query(someone)
    await server.query(
      "CREATE DEFINER = someone@'%' TRIGGER shorten BEFORE INSERT ON numbers FOR EACH ROW SET NEW.text = 'x'",
    )
    await server.query("DROP USER someone@'%'")
    const status = numbers('definer')
    await expect.poll(() => status().error?.message, patience).toMatch(/definer \('someone'@'%'\) does not exist/)
    await expect.poll(status, patience).toMatchObject({
      state: 'retrying',
      error: { culprit: 'system', hint: expect.stringMatching(/^Create that user, or define the trigger/) },
    })
    await server.query(someone)
    await expect.poll(written, patience).toEqual({ all: count, each: count })
    await expect.poll(() => status().error, patience).toBeUndefined()
  })
})
