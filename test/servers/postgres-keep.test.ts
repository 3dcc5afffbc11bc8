import { from } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Batch } from '../../src/model/index.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { done } from '../contracts/checkpoints.contract.js'
import { postgresHarness } from '../contracts/postgres-sink-under-test.js'
import { openPostgres } from '../contracts/postgres-under-test.js'
import type { SinkHarness } from '../contracts/sink-harness.js'
import { recordOf } from '../contracts/sinks.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = missingPostgres()
const row = <V>(value: V) => value
const dayMs = 86_400_000

const table = 'CREATE TABLE items (id text PRIMARY KEY, at timestamptz, text text)'
const partitioned = 'CREATE TABLE items (id text, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)'

/** One epoch, of one batch. */
const write = (sink: SinkHarness, values: readonly object[]) =>
  done(sink.epoch(from([recordOf(new Batch(values.map(recordOf)))])))

describe.skipIf(missing !== undefined)(
  `rows that are there already${missing === undefined ? '' : ` (${missing})`}`,
  () => {
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
    beforeEach(async () => {
      await server.query('DROP SCHEMA public CASCADE')
      await server.query('CREATE SCHEMA public')
    })

    const open = async (options: object, joins = true, own = connection) => {
      const sink = postgresHarness(own, { table: 'items', row, ...options }, joins)
      await sink.open()
      return sink
    }
    const keeping = (more: object = {}, joins = true) =>
      open({ create: table, mode: 'keep', key: ['id'], ...more }, joins)
    const texts = async () =>
      (await server.query<{ text: string }>('SELECT id || text AS text FROM items ORDER BY id')).map(({ text }) => text)
    const partitions = async () =>
      (
        await server.query<{ name: string; rows: number }>(
          `SELECT c.relname AS name, (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM ' || c.relname, false, true, '')))[1]::text::int AS rows
       FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'items'::regclass ORDER BY 1`,
        )
      ).map(({ name, rows }) => [name, rows])

    describe.each([
      ['by INSERT, with the positions', { copyFrom: 1_000 }, true],
      ['by COPY, with the positions', { copyFrom: 1 }, true],
      ['by INSERT, on its own', { copyFrom: 1_000 }, false],
      ['by COPY, on its own', { copyFrom: 1 }, false],
    ])('stay as they are, %s', (_way, options, joins) => {
      test('whether they came in an epoch before or in the same batch, and the others are written', async () => {
        const sink = await keeping(options, joins)
        await write(sink, [
          { id: 'a', text: '1' },
          { id: 'b', text: '1' },
        ])
        await write(sink, [
          { id: 'c', text: '2' },
          { id: 'a', text: '2' },
          { id: 'd', text: '2' },
          { id: 'd', text: '3' },
        ])
        await write(sink, [{ id: 'e', text: '3' }])
        expect(await texts()).toEqual(['a1', 'b1', 'c2', 'd2', 'e3'])
        expect(sink.rejected).toEqual([])
      })

      test('but a row that is refused keeps no later one of its key out', async () => {
        const create = "CREATE TABLE items (id text PRIMARY KEY, text text CHECK (text <> 'bad'))"
        const sink = await keeping({ ...options, create }, joins)
        await write(sink, [
          { id: 'a', text: 'bad' },
          { id: 'b', text: '1' },
          { id: 'a', text: '2' },
        ])
        expect(await texts()).toEqual(['a2', 'b1'])
        expect(sink.rejected).toMatchObject([
          { record: { origin: { offset: 0 } }, error: { code: 'WEIR_RECORD_REFUSED' } },
        ])
      })

      test('and what another unique index refuses is rejected', async () => {
        const create = 'CREATE TABLE items (id text PRIMARY KEY, text text UNIQUE)'
        const sink = await keeping({ ...options, create }, joins)
        await write(sink, [
          { id: 'a', text: '1' },
          { id: 'b', text: '1' },
          { id: 'c', text: '2' },
        ])
        expect(await texts()).toEqual(['a1', 'c2'])
        expect(sink.rejected).toMatchObject([{ record: { origin: { offset: 1 } } }])
      })
    })

    test('a batch with a repeat is inserted, those after it for a while as well, and then COPY is tried again', async () => {
      await server.query(table)
      // Rows of a COPY tell so.
      await server.query(`CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      new.text = split_part(current_query(), ' ', 1); RETURN new; END $$`)
      await server.query('CREATE TRIGGER told BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION told()')
      const sink = await keeping({ copyFrom: 1 })
      await write(sink, [{ id: 'a' }])
      for (let index = 0; index < 53; index++)
        await write(sink, [{ id: `b${index}` }, { id: 'a' }].slice(0, index === 0 ? 2 : 1))
      const ways = await server.query('SELECT text, count(*)::int FROM items GROUP BY 1 ORDER BY 1')
      expect(ways).toEqual([
        { text: 'COPY', count: 4 },
        { text: 'INSERT', count: 50 },
      ])
    })

    test('without an index on exactly that key the flow stops, and says what it needs', async () => {
      await server.query('CREATE TABLE items (id text, text text)')
      const sink = await keeping()
      await expect(write(sink, [{ id: 'a', text: '1' }])).rejects.toMatchObject({
        hint: 'An upsert needs a unique index on exactly the columns of `key`.',
      })
    })

    describe('columns that a table lacks', () => {
      const columns = { text: 'text', seen: 'timestamptz NOT NULL DEFAULT now()' }

      test('are added, and nothing else of it is changed', async () => {
        await server.query('CREATE TABLE items (id varchar(5) PRIMARY KEY, text varchar(3), extra integer)')
        await server.query("INSERT INTO items VALUES ('old', 'x', 7)")
        const sink = await keeping({ columns })
        await write(sink, [{ id: 'a', text: '1' }])
        expect(await server.query('SELECT id, text, extra, seen IS NOT NULL AS seen FROM items ORDER BY 1')).toEqual([
          { id: 'a', text: '1', extra: null, seen: true },
          { id: 'old', text: 'x', extra: 7, seen: true },
        ])
        const types = await server.query(
          "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 ORDER BY attnum",
        )
        expect(types.map(({ type }) => type)).toEqual([
          'character varying(5)',
          'character varying(3)',
          'integer',
          'timestamp with time zone',
        ])
      })

      test('are added by one of two that open at once', async () => {
        await server.query('CREATE TABLE items (id text PRIMARY KEY)')
        const [first, second] = await Promise.all([keeping({ columns }), keeping({ columns })])
        await write(first, [{ id: 'a', text: '1' }])
        await write(second, [{ id: 'b', text: '1' }])
        expect(await texts()).toEqual(['a1', 'b1'])
      })

      test('ask for no right of an owner where they are there', async () => {
        await server.query('CREATE TABLE items (id text PRIMARY KEY, text text, seen timestamptz)')
        await server.query('DROP ROLE IF EXISTS writer')
        await server.query('CREATE ROLE writer LOGIN')
        await server.query('GRANT ALL ON SCHEMA public TO writer')
        await server.query('GRANT SELECT, INSERT ON items TO writer')
        const own = openPostgres(server.url.replace('weir@', 'writer@'))
        onTestFinished(() => own.close())
        const sink = await open({ mode: 'keep', key: ['id'], columns }, true, own)
        await write(sink, [{ id: 'a', text: '1' }])
        expect(await texts()).toEqual(['a1'])
      })
    })

    describe('partitions of days', () => {
      const byDay = (more: object = {}, own = connection) =>
        open({ create: partitioned, days: 'at', ...more }, true, own)
      const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')

      test.each([
        ['by INSERT', 1_000],
        ['by COPY', 1],
      ])('are made as rows need them, %s', async (_way, copyFrom) => {
        const sink = await byDay({ copyFrom })
        await write(sink, [
          { id: 'a', at: '2023-12-31T23:59:59.999Z' },
          { id: 'b', at: new Date('2024-01-01T00:00:00Z') },
          { id: 'c', at: '2024-01-01T22:00:00-03:00' },
        ])
        await write(sink, [{ id: 'd', at: '2024-01-02T12:00:00Z' }])
        expect(await partitions()).toEqual([
          ['items_20231231', 1],
          ['items_20240101', 1],
          ['items_20240102', 2],
          [`items_${today}`, 0],
        ])
        expect(sink.rejected).toEqual([])
      })

      test('are not made for days far ahead of the clock: such rows are rejected', async () => {
        const sink = await byDay()
        const inDays = (days: number) => new Date(Date.now() + days * dayMs)
        await write(sink, [
          { id: 'a', at: inDays(2) },
          { id: 'b', at: inDays(3) },
          { id: 'c', at: '2999-01-01T00:00:00Z' },
        ])
        expect(await partitions()).toHaveLength(2)
        expect(sink.rejected.map(({ record }) => record.origin.offset)).toEqual([1, 2])
        expect(sink.rejected[0]?.error.message).toContain('no partition of relation "items" found for row')
      })

      test('are left to one that has the day already', async () => {
        await server.query(partitioned)
        await server.query("CREATE TABLE older PARTITION OF items FOR VALUES FROM (minvalue) TO ('2024-02-01Z')")
        const sink = await byDay()
        await write(sink, [
          { id: 'a', at: '2024-01-31T12:00:00Z' },
          { id: 'b', at: '2024-02-01T12:00:00Z' },
        ])
        expect(await partitions()).toEqual([
          ['items_20240201', 1],
          [`items_${today}`, 0],
          ['older', 1],
        ])
      })

      test('that are dropped meanwhile are made anew', async () => {
        const sink = await byDay()
        await write(sink, [{ id: 'a', at: '2024-01-31T12:00:00Z' }])
        await server.query('DROP TABLE items_20240131')
        await write(sink, [{ id: 'b', at: '2024-01-31T12:00:00Z' }])
        expect(await partitions()).toContainEqual(['items_20240131', 1])
        expect(sink.rejected).toEqual([])
      })

      test('are made by several at once, each within its own transaction, and none waits for another for ever', async () => {
        const others = [1, 2, 3].map(() => openPostgres(server.url))
        onTestFinished(async () => {
          for (const other of others) await other.close()
        })
        const sinks = await Promise.all(others.map((other) => byDay({}, other)))
        const days = (of: number) =>
          from(
            [1, 2, 3, 4, 5, 6].map((day) =>
              recordOf(new Batch([recordOf({ id: `${of}-${day}`, at: `2024-01-0${day}T12:00:00Z` })])),
            ),
          )
        await Promise.all(sinks.map((sink, of) => done(sink.epoch(days(of)))))
        const made = await partitions()
        expect(made.filter(([, rows]) => rows === 3)).toHaveLength(6)
      })

      test('of a table that has none stop the flow', async () => {
        await server.query(table)
        const sink = await byDay()
        await expect(write(sink, [{ id: 'a', at: new Date() }])).rejects.toMatchObject({ remedy: 'stop' })
      })
    })
  },
)
