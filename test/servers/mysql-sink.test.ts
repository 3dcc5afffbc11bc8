import { setTimeout as sleep } from 'node:timers/promises'
import { concat, ignoreElements, timer } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { compile, flow, generate, mysql } from '../../src/index.js'
import type { MysqlConnection } from '../../src/mysql/connection.js'
import { done } from '../contracts/checkpoints.contract.js'
import { mysqlHarness, openMysql } from '../contracts/mysql-under-test.js'
import type { SinkHarness } from '../contracts/sink-harness.js'
import { recordsOf } from '../contracts/sinks.contract.js'
import { tableSinkContract } from '../contracts/table-sinks.contract.js'
import { runningEngine } from '../support/running-engine.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

// Neither the zone of the process nor that of the server may show in a DATETIME.
process.env['TZ'] = 'America/New_York'

const missing = missingMariadb()
const because = missing === undefined ? '' : ` (${missing})`
const self = <V>(value: V) => value
const maxAllowedPacket = 2 * 1_024 * 1_024

describe.skipIf(missing !== undefined)(`the MySQL sink on a real server${because}`, () => {
  let server: MariadbServer
  let connection: MysqlConnection

  beforeAll(async () => {
    server = await MariadbServer.start({ maxAllowedPacket })
    connection = openMysql({ url: server.url })
  })
  afterAll(async () => {
    await connection?.close()
    await server?.close()
  })
  beforeEach(() => server.query('DROP TABLE IF EXISTS items'))

  const sinkOf = async (options: Readonly<Record<string, unknown>>, joins = true) => {
    const sink = mysqlHarness(connection, { table: 'items', row: self, ...options }, joins)
    await sink.open()
    return sink
  }
  const write = (sink: SinkHarness, values: readonly unknown[]) => done(sink.epoch(recordsOf(values)))
  const all = (table = 'items') => server.query<Record<string, unknown>>(`SELECT * FROM ${table} ORDER BY 1`)

  tableSinkContract({
    open: sinkOf,
    openImpatient: async (options) => {
      const own = openMysql({ url: server.url, statementTimeout: '3s' })
      onTestFinished(() => own.close())
      const sink = mysqlHarness(own, { table: 'items', row: self, ...options }, true)
      await sink.open()
      return sink
    },
    query: (sql) => server.query(sql),
    rows: all,
    get server() {
      return server
    },
  })

  describe('types', () => {
    /** What a column of this type holds, as the server tells it in its zone. */
    const stored = async (type: string, value: unknown, shown = 'value'): Promise<unknown> => {
      await server.query(`CREATE TABLE items (id INT, value ${type}) CHARACTER SET utf8mb4`)
      const sink = await sinkOf({})
      await write(sink, [{ id: 1, value }])
      if (sink.rejected[0] !== undefined) throw sink.rejected[0].error
      return (await server.query<{ text: unknown }>(`SELECT CAST(${shown} AS CHAR) AS text FROM items`))[0]?.text
    }
    const instant = new Date('2024-03-10T23:30:00.789Z')

    test.each<[string, unknown, string | null]>([
      ['INT', 7, '7'],
      ['INT', null, null],
      ['BIGINT', 9_007_199_254_740_993n, '9007199254740993'],
      ['DOUBLE', 0.1, '0.1'],
      ['DOUBLE', -1e300, '-1e300'],
      ['DECIMAL(10,2)', '12.34', '12.34'],
      ['BOOLEAN', true, '1'],
      ['BOOLEAN', false, '0'],
      ['TEXT', 'a\tb\\c\nd"e\'f`?:x\u001a\u{1F9A6}', 'a\tb\\c\nd"e\'f`?:x\u001a\u{1F9A6}'],
      ['TEXT', 'a\0b', 'a\0b'],
      ['TEXT', "'); DROP TABLE items; --", "'); DROP TABLE items; --"],
      ['TEXT', '', ''],
      ['VARCHAR(3)', 'abc', 'abc'],
      ['DATETIME(3)', instant, '2024-03-10 23:30:00.789'],
      ['DATETIME', instant, '2024-03-10 23:30:00'],
      ['TIME(1)', instant, '23:30:00.7'],
      ['TIMESTAMP(3)', instant, '2024-03-11 05:15:00.789'],
      ['DATE', instant, '2024-03-10'],
      ['TIME(3)', instant, '23:30:00.789'],
      ['YEAR', instant, '2024'],
      ['JSON', { a: [1, 'x', null], b: '"\\\n' }, '{"a":[1,"x",null],"b":"\\"\\\\\\n"}'],
      ['JSON', [1, { b: 2 }], '[1,{"b":2}]'],
      ['JSON', 5, '5'],
      ['JSON', true, 'true'],
      ['JSON', '{"text": "of JSON"}', '{"text": "of JSON"}'],
      ['TEXT', { a: 1 }, '{"a":1}'],
      ['TEXT', ['a'], '["a"]'],
      ['JSON', { n: 9_007_199_254_740_993n }, '{"n":9007199254740993}'],
      ["ENUM('glad', 'sad')", 'sad', 'sad'],
    ])('%s from %o', async (type, value, expected) => {
      expect(await stored(type, value)).toBe(expected)
    })

    test.each<[string, Uint8Array, string]>([
      ['BLOB', Buffer.from([0, 1, 92, 255, 39]), '00015CFF27'],
      ['BLOB', new Uint8Array([7, 8]), '0708'],
      ['BLOB', new Uint8Array(0), ''],
    ])('%s from %o', async (type, value, expected) => {
      expect(await stored(type, value, 'HEX(value)')).toBe(expected)
    })

    test.each<[string, unknown, string]>([
      ['VARCHAR(3)', 'abcd', "Data too long for column 'value' at row 1"],
      ['INT', 'seven', "Incorrect integer value: 'seven'"],
      ['INT', 2 ** 40, "Out of range value for column 'value' at row 1"],
      ['TINYINT UNSIGNED', -1, "Out of range value for column 'value' at row 1"],
      ['DOUBLE', Number.NaN, 'MySQL knows no NaN (column value)'],
      ['DATETIME', new Date(Number.NaN), 'Invalid time value (column value)'],
      ['DATETIME', '2024-02-30 00:00:00', "Incorrect datetime value: '2024-02-30 00:00:00'"],
      ['JSON', '{broken', 'CONSTRAINT `items.value` failed'],
      ['JSON', { of: new Map() }, 'JSON keeps nothing of a Map (column value)'],
      ['TEXT', '\uD800', 'text with half of a surrogate pair has no UTF-8 (column value)'],
      ["ENUM('glad', 'sad')", 'angry', "Data truncated for column 'value' at row 1"],
      ['INT NOT NULL', null, "Column 'value' cannot be null"],
      ['INT CHECK (value < 10)', 99, 'CONSTRAINT `items.value` failed'],
    ])('%s refuses %o', async (type, value, text) => {
      await expect(stored(type, value)).rejects.toMatchObject({
        code: 'WEIR_RECORD_REFUSED',
        message: expect.stringContaining(`writing to table items: ${text}`) as string,
      })
    })
  })

  test('rows of nothing but defaults', async () => {
    await server.query('CREATE TABLE items (id INT AUTO_INCREMENT PRIMARY KEY)')
    await write(await sinkOf({ row: () => ({}) }), [1, 2, 3])
    expect(await all()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
  })

  test('names are quoted, and a database is found', async () => {
    await server.query('CREATE DATABASE `Odd`; CREATE TABLE `Odd`.`my.table` (`select` INT, `a``b` TEXT)')
    await write(await sinkOf({ table: 'Odd.`my.table`' }), [{ select: 1, 'a`b': 'x' }])
    expect(await all('`Odd`.`my.table`')).toEqual([{ select: 1, 'a`b': 'x' }])
    await server.query('DROP DATABASE `Odd`')
  })

  describe('max_allowed_packet', () => {
    const large = (id: number, bytes: number) => ({ id, text: 'é'.repeat(bytes / 2) })
    beforeEach(() => server.query('CREATE TABLE items (id INT PRIMARY KEY, text LONGTEXT CHARACTER SET utf8mb4)'))

    for (const joins of [true, false]) {
      test(`splits a batch by bytes${joins ? '' : ', outside of a transaction too'}`, async () => {
        const sink = await sinkOf({ batchSize: 40 }, joins)
        await write(
          sink,
          Array.from({ length: 20 }, (_, id) => large(id, 600_000)),
        )
        expect(sink.rejected).toEqual([])
        expect(await server.query('SELECT COUNT(*) AS n, SUM(LENGTH(text)) AS bytes FROM items')).toEqual([
          { n: 20, bytes: '12000000' },
        ])
      })
    }

    test('rejects a row that is larger alone, and no other', async () => {
      const sink = await sinkOf({})
      await write(sink, [large(1, 10), large(2, maxAllowedPacket), large(3, 10)])
      expect((await server.query<{ id: number }>('SELECT id FROM items')).map(({ id }) => id)).toEqual([1, 3])
      expect(sink.rejected.map(({ error }) => error.message)).toEqual([
        'writing to table items: more than the 2097088 bytes of max_allowed_packet',
      ])
    })
  })

  describe('the set-up', () => {
    test('an upsert without a unique index on its key stops the flow', async () => {
      await server.query('CREATE TABLE items (id INT, other INT, UNIQUE (id, other))')
      await expect(sinkOf({ mode: 'upsert', key: ['id'] })).rejects.toMatchObject({
        remedy: 'stop',
        hint: 'An upsert needs a unique index on exactly the columns of `key`.',
      })
      await write(await sinkOf({ mode: 'upsert', key: ['other', 'id'] }), [{ id: 1, other: 2 }])
      expect(await all()).toEqual([{ id: 1, other: 2 }])
    })

    test('a table that knows no transactions stops the flow', async () => {
      await server.query('CREATE TABLE items (id INT) ENGINE = MyISAM')
      await expect(sinkOf({})).rejects.toMatchObject({
        remedy: 'stop',
        message: 'opening table items: its engine MyISAM knows no transactions',
      })
    })

    test.each([
      ['a wrong password', (url: string) => url.replace('weir:', 'weir:not'), 'Check user and password.'],
      [
        'a missing database',
        (url: string) => url.replace(/weir$/, 'nowhere'),
        'Create the database, or correct its name.',
      ],
    ])('%s stops the flow', async (_what, change, hint) => {
      const nowhere = openMysql({ url: change(server.url) })
      const sink = mysqlHarness(nowhere, { table: 'items', row: self }, true)
      await expect(sink.open()).rejects.toMatchObject({ remedy: 'stop', hint })
      await nowhere.close()
    })

    test('a server that is not there is worth another try', async () => {
      const nobody = openMysql({ url: 'mysql://weir@127.0.0.1:1/weir' })
      const sink = mysqlHarness(nobody, { table: 'items', row: self }, true)
      await expect(sink.open()).rejects.toMatchObject({ remedy: 'retry', code: 'WEIR_CHECKPOINT_UNREACHABLE' })
      await nobody.close()
    })
  })

  describe('crashes', () => {
    beforeEach(() => server.query('CREATE TABLE items (id INT PRIMARY KEY, text LONGTEXT)'))

    test('a deadlock undoes its epoch altogether, and a replay goes through', async () => {
      await server.query("INSERT INTO items VALUES (1, 'a'), (2, 'b')")
      const upsert = { mode: 'upsert', key: ['id'], batchSize: 1 }
      const [here, there] = [await sinkOf(upsert), await sinkOf(upsert)]
      const crossed = (first: number, second: number, text: string) =>
        concat(
          recordsOf([
            { id: 100 + first, text },
            { id: first, text },
          ]),
          concat(timer(2_000).pipe(ignoreElements()), recordsOf([{ id: second, text }])),
        )
      const outcomes = await Promise.allSettled([
        done(here.epoch(crossed(1, 2, 'here'))),
        done(there.epoch(crossed(2, 1, 'there'))),
      ])
      const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
      expect(failed).toMatchObject([{ code: 'WEIR_CHECKPOINT_UNREACHABLE', remedy: 'retry' }])
      const [winner, loser] = outcomes[0].status === 'fulfilled' ? ['here', 'there'] : ['there', 'here']
      const rows = await all()
      expect(rows.filter(({ text }) => text === winner)).toHaveLength(3)
      expect(rows.filter(({ text }) => text === loser)).toEqual([])
      await done((loser === 'here' ? here : there).epoch(crossed(1, 2, loser)))
      expect((await all()).filter(({ text }) => text === loser)).toHaveLength(3)
    })
  })

  describe('a flow with its checkpoints in the database of its rows', () => {
    const count = 30_000
    /** A run of the flow, as a process of its own would have it. */
    const started = () => {
      const declared = flow(
        generate({ rate: 5_000, count, value: (_random, index) => index }),
        mysql.sink({
          table: 'items',
          row: (value: number) => ({ value }),
          create: 'CREATE TABLE items (value INT)',
          onError: 'fail',
        }),
      ).with({ checkpoints: 'mysql', epoch: { every: 50 }, attempts: 100 })
      const connections = { mysql: mysql({ url: server.url }) }
      const topology = compile({ app: 'load', connections, flows: { load: declared } }, { environment: {} })
      expect(topology.flows[0]?.guarantee).toBe('exactly-once')
      return runningEngine(topology)
    }
    const written = () =>
      server.query(
        'SELECT COUNT(*) AS n, COUNT(DISTINCT value) AS values_, CAST(SUM(value) AS SIGNED) AS sum FROM items',
      )
    const everything = [{ n: count, values_: count, sum: (count * (count - 1)) / 2 }]
    const finished = async () => {
      for (let tries = 0; tries < 900; tries++) {
        const [position] = await server.query<{ position: number }>(
          "SELECT MAX(position) AS position FROM weir_positions WHERE task = 'load.load'",
        )
        if (position?.position === count) return
        await sleep(100)
      }
      throw new Error('the flow has not come to its end')
    }

    beforeEach(() => server.query("DELETE FROM weir_positions WHERE task = 'load.load'"))

    test('writes each row once, whatever becomes of the server', async () => {
      started()
      for (const pause of [700, 400, 900]) {
        await sleep(pause)
        await server.kill()
        await sleep(pause / 4)
        await server.start()
        await sleep(pause / 2)
        await server.terminateSessions()
      }
      await server.restart()
      await finished()
      expect(await written()).toEqual(everything)
    })

    test('writes each row once when a second process takes over from one that goes on', async () => {
      const first = started()
      await sleep(1_000)
      started()
      await sleep(1_000)
      first.running.unsubscribe()
      await finished()
      expect(await written()).toEqual(everything)
    })
  })
})
