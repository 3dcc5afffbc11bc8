import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { done } from '../contracts/checkpoints.contract.js'
import { postgresHarness } from '../contracts/postgres-sink-under-test.js'
import { openPostgres, openWith } from '../contracts/postgres-under-test.js'
import type { SinkHarness } from '../contracts/sink-harness.js'
import { items, recordsOf } from '../contracts/sinks.contract.js'
import { tableSinkContract } from '../contracts/table-sinks.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

// Neither the zone of the process nor that of the session may show in a `timestamp`.
process.env['TZ'] = 'America/New_York'

const missing = missingPostgres()
const self = <V>(value: V) => value

describe.skipIf(missing !== undefined)(
  `the Postgres sink on a real server${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let server: PostgresServer
    let connection: PostgresConnection

    beforeAll(async () => {
      server = await PostgresServer.start({ fsync: true })
      connection = openPostgres(server.url)
    })
    afterAll(async () => {
      await connection.close()
      await server.close()
    })
    beforeEach(async () => {
      await server.query('DROP SCHEMA public CASCADE')
      await server.query('CREATE SCHEMA public')
    })

    const sinkOf = async (options: Readonly<Record<string, unknown>>, joins = true) => {
      const sink = postgresHarness(connection, { table: 'items', row: self, ...options }, joins)
      await sink.open()
      return sink
    }
    const write = (sink: SinkHarness, values: readonly unknown[]) => done(sink.epoch(recordsOf(values)))
    const all = <R extends Record<string, unknown>>(table = 'items') =>
      server.query<R>(`SELECT * FROM ${table} ORDER BY 1`)

    tableSinkContract({
      open: sinkOf,
      openImpatient: async (options) => {
        const own = openWith({ url: server.url, statementTimeout: '3s' })
        onTestFinished(() => own.close())
        const sink = postgresHarness(own, { table: 'items', row: self, ...options }, true)
        await sink.open()
        return sink
      },
      query: (sql) => server.query(sql),
      rows: all,
      get server() {
        return server
      },
    })

    describe.each([
      ['insert', {}],
      ['COPY', { copyFrom: 1 }],
    ])('types by %s', (_way, options) => {
      /** What a column of this type holds, as the server tells it. */
      const stored = async (type: string, value: unknown): Promise<unknown> => {
        await server.query(`CREATE TABLE items (id integer, value ${type})`)
        const sink = await sinkOf(options)
        await write(sink, [{ id: 1, value }])
        if (sink.rejected[0] !== undefined) throw sink.rejected[0].error
        return (await server.query<{ text: unknown }>('SELECT value::text AS text FROM items'))[0]?.text
      }
      const instant = new Date('2024-03-10T07:30:00.123Z')

      test.each<[string, unknown, string | null]>([
        ['integer', 7, '7'],
        ['integer', null, null],
        ['bigint', 9_007_199_254_740_993n, '9007199254740993'],
        ['double precision', Number.NaN, 'NaN'],
        ['double precision', Number.NEGATIVE_INFINITY, '-Infinity'],
        ['numeric(10,2)', '12.345', '12.35'],
        ['boolean', false, 'false'],
        ['text', 'a\tb\\c\nd"e{f}\u{1F9A6}', 'a\tb\\c\nd"e{f}\u{1F9A6}'],
        ['text', '\\N', '\\N'],
        ['text', '', ''],
        ['varchar(3)', 'abc', 'abc'],
        ['char(4)', 'ab', 'ab'],
        ['bit(4)', '1010', '1010'],
        ['timestamp', instant, '2024-03-10 07:30:00.123'],
        ['timestamptz', instant, '2024-03-10 13:15:00.123+05:45'],
        ['date', new Date('2024-03-10T23:59:59.999Z'), '2024-03-10'],
        ['time', instant, '07:30:00.123'],
        ['timestamp', new Date(Date.UTC(12_024, 0, 1)), '12024-01-01 00:00:00'],
        ['timestamp', new Date(-62_198_755_200_000), '0002-01-01 00:00:00 BC'],
        ['timestamp', new Date('0000-06-01T00:00:00Z'), '0001-06-01 00:00:00 BC'],
        ['timestamp', new Date('0099-05-05T00:00:00Z'), '0099-05-05 00:00:00'],
        ['bytea', Buffer.from([0, 1, 92, 255]), '\\x00015cff'],
        ['bytea', new Uint8Array([7, 8]), '\\x0708'],
        ['jsonb', { a: [1, 'x', null], b: '"\\\n' }, '{"a": [1, "x", null], "b": "\\"\\\\\\n"}'],
        ['jsonb', [1, { b: 2 }], '[1, {"b": 2}]'],
        ['jsonb', 5, '5'],
        ['jsonb', { n: 9_007_199_254_740_993n }, '{"n": 9007199254740993}'],
        ['jsonb', '{"text": "of JSON"}', '{"text": "of JSON"}'],
        ['json', [], '[]'],
        ['integer[]', [1, null, 3], '{1,NULL,3}'],
        ['integer[]', [], '{}'],
        [
          'integer[]',
          [
            [1, 2],
            [3, 4],
          ],
          '{{1,2},{3,4}}',
        ],
        ['text[]', ['a,b', 'c"d', 'e\\f', 'NULL', '', 'x\ty'], '{"a,b","c\\"d","e\\\\f","NULL","","x\ty"}'],
        ['timestamp[]', [instant], '{"2024-03-10 07:30:00.123"}'],
        ['bytea[]', [Buffer.from('hi')], '{"\\\\x6869"}'],
        ['jsonb[]', [{ a: 1 }], '{"{\\"a\\": 1}"}'],
        ['int4range', '[1,5)', '[1,5)'],
        ['uuid', '6F9619FF-8B86-D011-B42D-00C04FC964FF', '6f9619ff-8b86-d011-b42d-00c04fc964ff'],
        ['text', { a: 1 }, '{"a":1}'],
      ])('%s from %o', async (type, value, expected) => {
        expect(await stored(type, value)).toBe(expected)
      })

      test('a domain, and an enumeration', async () => {
        await server.query(
          "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN tags AS text[]; CREATE DOMAIN doc AS jsonb",
        )
        await server.query('CREATE TABLE items (mood mood, tags tags, doc doc)')
        const sink = await sinkOf(options)
        await write(sink, [{ mood: 'sad', tags: ['a'], doc: ['b'] }])
        expect(sink.rejected).toEqual([])
        expect(await server.query('SELECT mood::text, tags::text, doc::text FROM items')).toEqual([
          { mood: 'sad', tags: '{a}', doc: '["b"]' },
        ])
      })

      test.each<[string, unknown, string]>([
        ['varchar(3)', 'abcd', 'value too long for type character varying(3)'],
        ['integer', 'seven', 'invalid input syntax for type integer: "seven"'],
        ['integer', 2 ** 40, 'value "1099511627776" is out of range for type integer'],
        ['text', 'a\0b', 'invalid byte sequence for encoding "UTF8": 0x00'],
        ['timestamp', new Date(Number.NaN), 'Invalid time value (column value)'],
        ['jsonb', '{broken', 'invalid input syntax for type json'],
        ['jsonb', { of: new Map() }, 'JSON keeps nothing of a Map (column value)'],
        ['jsonb', () => 1, "a function can't be written (column value)"],
        ['text', '\uD800', 'text with half of a surrogate pair has no UTF-8 (column value)'],
        [
          'integer NOT NULL',
          null,
          'null value in column "value" of relation "items" violates not-null constraint (column value)',
        ],
      ])('%s refuses %o', async (type, value, text) => {
        await expect(stored(type, value)).rejects.toMatchObject({
          code: 'WEIR_RECORD_REFUSED',
          message: `writing to table items: ${text}`,
        })
      })

      test('a broken constraint is named', async () => {
        await server.query('CREATE TABLE items (id integer CONSTRAINT small CHECK (id < 10))')
        const sink = await sinkOf(options)
        await write(sink, [{ id: 1 }, { id: 99 }])
        expect(sink.rejected.map(({ error }) => error.message)).toEqual([
          'writing to table items: new row for relation "items" violates check constraint "small" (constraint small)',
        ])
      })
    })

    test('rows of nothing but defaults', async () => {
      await server.query('CREATE TABLE items (id serial)')
      const sink = await sinkOf({ row: () => ({}) })
      await write(sink, [1, 2, 3])
      expect(await all()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
    })

    test('columns that are widened meanwhile get values as they are, in a table that is named like a type', async () => {
      await server.query('CREATE TABLE "date" (id integer, at timestamp, day date, number real)')
      const sink = await sinkOf({ table: 'date' })
      const at = '2024-05-01T10:00:00.123456Z'
      await write(sink, [{ id: 1, at, day: at, number: 0.1234567890123 }])
      await server.query(`ALTER TABLE "date" ALTER at TYPE timestamptz, ALTER day TYPE timestamptz,
        ALTER number TYPE double precision`)
      await write(sink, [{ id: 2, at, day: at, number: 0.1234567890123 }])
      const instant = new Date(at)
      const [, after] = await all<{ id: number }>('"date"')
      expect(after).toEqual({ id: 2, at: instant, day: instant, number: 0.1234567890123 })
    })

    test('names are quoted, and a schema is found', async () => {
      await server.query('CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."my.table" ("select" integer, "a""b" text)')
      const sink = await sinkOf({ table: 'Odd."my.table"' })
      await write(sink, [{ select: 1, 'a"b': 'x' }])
      expect(await all('"Odd"."my.table"')).toEqual([{ select: 1, 'a"b': 'x' }])
      await server.query('DROP SCHEMA "Odd" CASCADE')
    })

    describe('upserts', () => {
      const upsert = { mode: 'upsert', key: ['id'] }
      beforeEach(() => server.query("CREATE TABLE items (id integer PRIMARY KEY, a text, b text DEFAULT 'nil')"))

      test('one bad row among those of a key does not take the good ones with it', async () => {
        const sink = await sinkOf(upsert)
        const bad = { id: 1, a: 'with\0nul' }
        await write(sink, [{ id: 1, a: 'x' }, bad, { id: 1, b: 'y' }, { id: 2, a: 'z' }])
        expect(await all()).toEqual([
          { id: 1, a: 'x', b: 'y' },
          { id: 2, a: 'z', b: 'nil' },
        ])
        expect(sink.rejected.map(({ record }) => record.value)).toEqual([bad])
      })

      test('keys that differ by spaces are equal there', async () => {
        const sink = await sinkOf(upsert)
        await write(sink, [
          { id: 1, a: 'x' },
          { id: ' 1 ', a: 'z' },
        ])
        expect(await all()).toEqual([{ id: 1, a: 'z', b: 'nil' }])
      })
    })

    describe('the set-up', () => {
      test('an upsert without a unique index stops the flow', async () => {
        await server.query('CREATE TABLE items (id integer)')
        const sink = await sinkOf({ mode: 'upsert', key: ['id'] })
        await expect(write(sink, [{ id: 1 }])).rejects.toMatchObject({
          remedy: 'stop',
          hint: 'An upsert needs a unique index on exactly the columns of `key`.',
        })
      })

      test('a wrong password or a missing database stops the flow', async () => {
        const nowhere = openPostgres(server.url.replace('/postgres', '/nowhere'))
        const sink = postgresHarness(nowhere, { table: 'items', row: self }, true)
        await expect(sink.open()).rejects.toMatchObject({
          remedy: 'stop',
          hint: 'Create the database, or correct its name.',
        })
        await nowhere.close()
      })

      test('a server that is not there is worth another try', async () => {
        const nobody = openPostgres('postgres://weir@127.0.0.1:1/postgres')
        const sink = postgresHarness(nobody, { table: 'items', row: self }, true)
        await expect(sink.open()).rejects.toMatchObject({ remedy: 'retry', code: 'WEIR_CHECKPOINT_UNREACHABLE' })
        await nobody.close()
      })

      test('`upsert` and `key` need each other', async () => {
        await expect(sinkOf({ mode: 'upsert' })).rejects.toThrow("mode 'upsert' needs `key`")
        await expect(sinkOf({ key: ['id'] })).rejects.toThrow("mode 'insert' takes none")
        await expect(sinkOf({ mode: 'keep' })).rejects.toThrow('needs `key`')
      })
    })

    describe('bugs of `row`', () => {
      const row = ({ id }: { id: number }) => {
        if (id === 2) throw new TypeError('no such field')
        return { id }
      }
      beforeEach(() => server.query('CREATE TABLE items (id integer)'))

      test('are the fault of the record that they show at, and its policy says what becomes of it', async () => {
        const sink = await sinkOf({ row })
        await write(sink, items(4))
        expect(await all()).toEqual([{ id: 0 }, { id: 1 }, { id: 3 }])
        expect(sink.rejected).toMatchObject([
          {
            record: { origin: { offset: 2 } },
            error: { code: 'WEIR_STAGE_FAILED', message: expect.stringContaining('no such field') },
          },
        ])
      })
    })
  },
)
