import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { openPostgres, openWith } from '../contracts/postgres-under-test.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { TcpProxy } from './tcp-proxy.js'

const missing = missingPostgres()
const plenty = { maxRows: 1_000, maxBytes: 1_000_000 }
const asked = (connection: PostgresConnection, query: string, values: readonly unknown[] = [], limits = plenty) =>
  lastValueFrom(connection.read(query, values, limits))

/** What every way of asking promises, whoever answers. */
function reads(connect: () => PostgresConnection): void {
  test('gives rows as the driver reads them', async () => {
    const rows = await asked(connect(), "SELECT 1::int AS a, 2::bigint AS b, null AS c, '[1]'::jsonb AS d, $1 AS e", [
      'x',
    ])
    expect(rows).toEqual([{ a: 1, b: '2', c: null, d: [1], e: 'x' }])
    expect(await asked(connect(), 'SELECT 1 WHERE false')).toEqual([])
  })

  test('gives as many rows, and as many bytes, as there may be', async () => {
    const limits = { maxRows: 10, maxBytes: 100 }
    expect(await asked(connect(), "SELECT repeat('x', 10) FROM generate_series(1, 10)", [], limits)).toHaveLength(10)
    expect(
      await asked(connect(), "SELECT 'é' FROM generate_series(1, 10)", [], { maxRows: 10, maxBytes: 20 }),
    ).toHaveLength(10)
  })

  test.each([
    ['rows', 'SELECT FROM generate_series(1, 200000)'],
    ['bytes', "SELECT repeat('x', 1000) FROM generate_series(1, 900)"],
    ['bytes of one value', "SELECT repeat('x', 2000000)"],
  ])('refuses more %s, and goes on', async (_what, query) => {
    const connection = connect()
    const limits = { maxRows: 1_000, maxBytes: 500_000 }
    await expect(asked(connection, query, [], limits)).rejects.toMatchObject({
      code: 'WEIR_QUERY_TOO_LARGE',
      message: 'asking the database: there are more than 1000 rows, or 500000 bytes',
    })
    expect(await asked(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('refuses what writes, and leaves the transaction behind', async () => {
    const connection = connect()
    await lastValueFrom(connection.query('CREATE TABLE IF NOT EXISTS kept (id int)'))
    for (const query of ['INSERT INTO kept VALUES (1) RETURNING id', 'DROP TABLE kept']) {
      await expect(asked(connection, query)).rejects.toMatchObject({
        code: 'WEIR_CONFIG_INVALID',
        hint: 'A query may only read.',
      })
    }
    await expect(asked(connection, 'COMMIT; INSERT INTO kept VALUES (2)')).rejects.toThrow('multiple commands')
    expect(await asked(connection, 'SELECT * FROM kept')).toEqual([])
    // Others who use the connection may write.
    await lastValueFrom(connection.query('INSERT INTO kept VALUES (3)'))
    expect(await asked(connection, 'SELECT * FROM kept')).toEqual([{ id: 3 }])
    await lastValueFrom(connection.query('DROP TABLE kept'))
  })

  test('more values than a statement takes, or fewer, are the fault of who gave them, and no outage', async () => {
    const connection = connect()
    for (const values of [[], ['a', 'b']]) {
      const error: unknown = await asked(connection, 'SELECT $1::text', values).catch((cause: unknown) => cause)
      expect([error, connection.faults.of(error)]).toEqual([expect.objectContaining({ code: '08P01' }), 'record'])
    }
    expect(await asked(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('a wrong statement, and a value that can not be sent, leave it as it was', async () => {
    const connection = connect()
    await expect(asked(connection, 'SELECT nothing')).rejects.toMatchObject({ code: '42703' })
    await expect(asked(connection, 'SELECT $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' })
    await expect(
      asked(connection, 'SELECT $1::jsonb', [
        {
          toPostgres: () => {
            throw new TypeError('made')
          },
        },
      ]),
    ).rejects.toThrow('made')
    expect(await asked(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
}

describe('the embedded server, asked', () => {
  let directory: string
  let connection: PostgresConnection

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-read-'))
    connection = openPostgres('embedded', { dataDirectory: directory })
  })
  afterAll(async () => {
    await connection.close()
    rmSync(directory, { recursive: true })
  })
  reads(() => connection)
})

describe.skipIf(missing !== undefined)('PostgreSQL, asked', () => {
  let server: PostgresServer
  let connection: PostgresConnection

  beforeAll(async () => {
    server = await PostgresServer.start()
    connection = openPostgres(server.url)
  })
  afterAll(async () => {
    await connection.close()
    await server.close()
  })
  reads(() => connection)

  test('what it still sends of too much ends with its session', async () => {
    const endless = "SELECT repeat('x', 1000), generate_series(1, 100000000)"
    const began = performance.now()
    await expect(asked(connection, endless)).rejects.toMatchObject({ code: 'WEIR_QUERY_TOO_LARGE' })
    expect(performance.now() - began).toBeLessThan(30_000)
    await expect
      .poll(() =>
        server.query(
          "SELECT FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 100000000)' AND pid <> pg_backend_pid()",
        ),
      )
      .toHaveLength(0)
  })

  /** Asks by a way on which answers can be held up, of a server that waits for so long. */
  async function onWay(statementTimeout = 60_000) {
    const way = await TcpProxy.start(server.port)
    const url = new URL(server.url)
    url.port = String(way.port)
    const held = openWith({ url: url.href, statementTimeout })
    onTestFinished(async () => {
      await held.close()
      await way.close()
    })
    await asked(held, 'SELECT 1')
    return { way, held }
  }

  test('an answer that comes late is taken', async () => {
    const { way, held } = await onWay()
    way.hold()
    const answer = asked(held, 'SELECT 1 AS one')
    setTimeout(() => way.release(), 500)
    expect(await answer).toEqual([{ one: 1 }])
  })

  test('a connection that is cut in the midst of an answer is lost, and the next is another', async () => {
    const { way, held } = await onWay()
    const answer = asked(held, 'SELECT pg_sleep(60)')
    setTimeout(() => way.cut(), 200)
    const error: unknown = await answer.catch((caught: unknown) => caught)
    expect(held.faults.of(error)).toBe('connection')
    expect(await asked(held, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('an answer that never comes is given up, and the connection with it', async () => {
    const { way, held } = await onWay(1_000)
    way.hold()
    const began = performance.now()
    const error: unknown = await asked(held, 'SELECT 1').catch((caught: unknown) => caught)
    expect(held.faults.of(error)).toBe('connection')
    expect(performance.now() - began).toBeLessThan(30_000)
    way.cut()
    way.release()
    expect(await asked(held, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('a statement that takes too long is ended by the server', async () => {
    const { held } = await onWay(1_000)
    const error: unknown = await asked(held, 'SELECT pg_sleep(120)').catch((caught: unknown) => caught)
    expect(held.faults.of(error)).toBe('system')
    expect(await asked(held, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})
