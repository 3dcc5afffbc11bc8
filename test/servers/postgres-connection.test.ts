import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { concat, defer, ignoreElements, lastValueFrom, timer } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Logger, silentLogger } from '../../src/model/index.js'
import { postgresCheckpoints } from '../../src/postgres/checkpoint-tables.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'

import { done } from '../contracts/checkpoints.contract.js'
import { postgresHarness } from '../contracts/postgres-sink-under-test.js'
import { openPostgres, openWith } from '../contracts/postgres-under-test.js'
import { items, recordsOf } from '../contracts/sinks.contract.js'

describe('addresses', () => {
  test.each([
    [
      { url: 'postgres://ann:secret@db.example:6543/shop?sslmode=require&password=secret' },
      'postgres://ann@db.example:6543/shop',
    ],
    [{ url: 'postgresql://db.example/shop' }, 'postgres://db.example/shop'],
    [{ host: 'db.example', user: 'ann', password: 'secret', database: 'shop' }, 'postgres://ann@db.example:5432/shop'],
    [{ host: 'db.example', user: 'ann', password: 'secret' }, 'postgres://ann@db.example:5432/ann'],
  ])('%j', (options, address) => {
    expect(openWith(options).address).toBe(address)
  })

  test.each([[{ url: 'mysql://db' }], [{ url: '' }], [{ host: 'db', port: 0 }], [{ hots: 'db' }]])(
    '%j is refused',
    (options) => {
      expect(() => openWith(options)).toThrow()
    },
  )
})

test.each([['ann:sec@ret/with#odd'], ['ann:sec@ret'], ['ann:sec/r@t']])(
  'the login %s is refused, and not told',
  (login) => {
    const refusal = /^(?!.*sec)(?=.*%40 and %2F)/s
    expect(() => openWith({ url: `postgres://${login}@db.example/shop` })).toThrow(refusal)
  },
)

describe('the embedded server', () => {
  let dataDirectory: string
  const opened: PostgresConnection[] = []
  const open = (log: Logger = silentLogger) => {
    const connection = openPostgres('embedded', { dataDirectory, log })
    opened.push(connection)
    return connection
  }
  const query = (connection: PostgresConnection, text: string) => lastValueFrom(connection.query(text))

  beforeEach(() => {
    dataDirectory = mkdtempSync(join(tmpdir(), 'weir-embedded-'))
  })
  afterEach(async () => {
    for (const connection of opened.splice(0)) await connection.close()
    rmSync(dataDirectory, { recursive: true })
  })

  test('is refused in production', () => {
    expect(() => openWith({}, { production: true })).toThrow(
      expect.objectContaining({ code: 'WEIR_CONFIG_EMBEDDED', remedy: 'stop' }),
    )
  })

  test('starts at first use, says so, and keeps what it has', async () => {
    const warnings: unknown[] = []
    const warn = (...args: unknown[]) => void warnings.push(args.at(-1))
    const first = open({ ...silentLogger, warn })
    expect(first.address).toBe(`embedded Postgres in ${join(dataDirectory, 'postgres')}`)
    expect(warnings).toEqual([])
    await query(first, 'CREATE TABLE kept AS SELECT 7 AS n')
    expect(warnings).toEqual([expect.stringMatching(/embedded \(PGlite\)/)])
    await first.close()
    expect(await query(open(), 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  })

  test('can be closed without having been used', async () => {
    await open().close()
  })

  test('keeps a second one out of its directory, until it is closed', async () => {
    const first = open()
    await query(first, 'SELECT 1')
    const second = open()
    await expect(query(second, 'SELECT 1')).rejects.toMatchObject({ code: 'WEIR_CONFIG_INVALID', remedy: 'stop' })
    await first.close()
    expect(await query(second, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
  })

  test('survives the death of its process', async () => {
    const script = fileURLToPath(new URL('postgres-embedded-process.ts', import.meta.url))
    const jiti = fileURLToPath(new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url))
    const child = spawn(process.execPath, [jiti, script, dataDirectory], { stdio: 'inherit' })
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
    expect(await query(open(), 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  })

  test('flows that commit rows at the same time take turns', async () => {
    const connection = open()
    await query(connection, 'CREATE TABLE items (id integer PRIMARY KEY, text text)')
    const sinks = [0, 1, 2, 3].map(() =>
      postgresHarness(connection, { table: 'items', row: <V>(value: V) => value }, true),
    )
    for (const sink of sinks) await sink.open()
    // Each epoch is slow to come in, and none keeps the others, or a query, waiting meanwhile.
    const slow = (first: number) =>
      concat(recordsOf(items(100, first)), timer(600).pipe(ignoreElements()), recordsOf(items(100, first + 100)))
    const epochs = Promise.all(sinks.map((sink, index) => done(sink.epoch(slow(index * 1_000)))))
    expect(await query(connection, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await epochs
    expect(await query(connection, 'SELECT count(*)::int AS n FROM items')).toEqual([{ n: 800 }])
  })

  test('a transaction that is abandoned in the middle of its work frees the session', async () => {
    const connection = open()
    await query(connection, 'CREATE TABLE items (id integer)')
    for (let time = 0; time < 20; time++) {
      const transaction = postgresCheckpoints(connection).begin()
      const work = done(transaction.run((client) => client.query('INSERT INTO items SELECT generate_series(1, 2000)')))
      const left = done(defer(() => timer(time % 5))).then(() => done(transaction.rollback()))
      await Promise.allSettled([work, left])
      expect(await query(connection, 'SELECT count(*)::int AS n FROM items')).toEqual([{ n: 0 }])
    }
  })
})
