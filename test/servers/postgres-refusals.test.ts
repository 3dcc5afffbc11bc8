import { firstValueFrom, NEVER, ReplaySubject } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { compile, flow, generate, http, postgres } from '../../src/index.js'
import type { HttpRoute } from '../../src/model/index.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { done } from '../contracts/checkpoints.contract.js'
import { postgresHarness } from '../contracts/postgres-sink-under-test.js'
import { openWith } from '../contracts/postgres-under-test.js'
import type { SinkHarness } from '../contracts/sink-harness.js'
import { recordsOf } from '../contracts/sinks.contract.js'
import { runningEngine } from '../support/running-engine.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = missingPostgres()
const because = missing === undefined ? '' : ` (${missing})`

interface Refusing {
  /** Makes the table `items (id, value)` that refuses a value. */
  readonly table: string
  readonly bad: unknown
  readonly good?: unknown
  /** The user that writes, where it is not the owner. */
  readonly user?: string
}

const trigger = (code: string, deferred = false) => `
  CREATE TABLE items (id integer PRIMARY KEY, value text);
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 'bad' THEN ${code}; END IF; RETURN NEW; END $$;
  CREATE ${deferred ? 'CONSTRAINT ' : ''}TRIGGER refuse ${deferred ? 'AFTER' : 'BEFORE'} INSERT OR UPDATE ON items
    ${deferred ? 'DEFERRABLE INITIALLY DEFERRED' : ''} FOR EACH ROW EXECUTE FUNCTION refuse()`

/** How a database says no to one row. */
const refusing: Readonly<Record<string, Refusing>> = {
  'a check': { table: "CREATE TABLE items (id integer PRIMARY KEY, value text CHECK (value <> 'bad'))", bad: 'bad' },
  'a domain': {
    table: "CREATE DOMAIN word AS text CHECK (VALUE <> 'bad'); CREATE TABLE items (id integer PRIMARY KEY, value word)",
    bad: 'bad',
  },
  'an enumeration': {
    table: "CREATE TYPE word AS ENUM ('good'); CREATE TABLE items (id integer PRIMARY KEY, value word)",
    bad: 'bad',
  },
  'no partition': {
    table:
      "CREATE TABLE items (id integer, value text, PRIMARY KEY (id, value)) PARTITION BY LIST (value); CREATE TABLE good PARTITION OF items FOR VALUES IN ('good')",
    bad: 'bad',
  },
  'a number too large': {
    table: 'CREATE TABLE items (id integer PRIMARY KEY, value numeric(3, 1))',
    bad: 100,
    good: 1,
  },
  'a foreign key': {
    table:
      "CREATE TABLE words (word text PRIMARY KEY); INSERT INTO words VALUES ('good'); CREATE TABLE items (id integer PRIMARY KEY, value text REFERENCES words)",
    bad: 'bad',
  },
  'an index that takes no such length': {
    table: 'CREATE TABLE items (id integer PRIMARY KEY, value text UNIQUE)',
    bad: Array.from({ length: 4_000 }, (_, index) => (index * 7_919 * index).toString(36)).join(''),
    good: null,
  },
  'the character 0 in JSON': {
    table: 'CREATE TABLE items (id integer PRIMARY KEY, value jsonb)',
    bad: { a: '\0' },
    good: {},
  },
  'a policy of rows': {
    table: `CREATE TABLE items (id integer PRIMARY KEY, value text); ALTER TABLE items ENABLE ROW LEVEL SECURITY;
      CREATE POLICY good ON items USING (true) WITH CHECK (value = 'good'); GRANT ALL ON items TO writer`,
    bad: 'bad',
    user: 'writer',
  },
  'a trigger that raises': { table: trigger("RAISE EXCEPTION 'no'"), bad: 'bad' },
  'a trigger that raises a code of its own': {
    table: trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'MY001'"),
    bad: 'bad',
  },
  'a trigger that asserts': { table: trigger("ASSERT false, 'no'"), bad: 'bad' },
  'a trigger that finds nothing': {
    table: trigger('SELECT relname INTO STRICT NEW.value FROM pg_class WHERE false'),
    bad: 'bad',
  },
  'a trigger that calls what is not there': { table: trigger('PERFORM nowhere(NEW.value)'), bad: 'bad' },
  'a trigger that reads what is not there': { table: trigger('PERFORM 1 FROM nowhere'), bad: 'bad' },
  'a view': {
    table:
      "CREATE TABLE kept (id integer PRIMARY KEY, value text CHECK (value <> 'bad')); CREATE VIEW items AS SELECT * FROM kept",
    bad: 'bad',
  },
  'a view that shows only some': {
    table:
      "CREATE TABLE kept (id integer PRIMARY KEY, value text); CREATE VIEW items AS SELECT * FROM kept WHERE value <> 'bad' WITH CHECK OPTION",
    bad: 'bad',
  },
  'a foreign key looked at in the end': {
    table:
      "CREATE TABLE words (word text PRIMARY KEY); INSERT INTO words VALUES ('good'); CREATE TABLE items (id integer PRIMARY KEY, value text REFERENCES words DEFERRABLE INITIALLY DEFERRED)",
    bad: 'bad',
  },
  'a trigger that raises in the end': { table: trigger("RAISE EXCEPTION 'no'", true), bad: 'bad' },
}

describe.skipIf(missing !== undefined)(`rows that PostgreSQL refuses${because}`, () => {
  let server: PostgresServer
  const connections = new Map<string | undefined, PostgresConnection>()

  beforeAll(async () => {
    server = await PostgresServer.start()
    await server.query('CREATE ROLE writer LOGIN')
    for (const user of [undefined, 'writer']) {
      const url = new URL(server.url)
      if (user !== undefined) url.username = user
      connections.set(user, openWith({ url: String(url) }))
    }
  })
  afterAll(async () => {
    for (const connection of connections.values()) await connection.close()
    await server?.close()
  })
  beforeEach(async () => {
    await server.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC')
  })

  /** Tries an epoch again as a flow would, at once where the error says so. */
  const write = async (sink: SinkHarness, values: readonly unknown[]) => {
    for (let tries = 0; ; tries++) {
      try {
        await done(sink.epoch(recordsOf(values)))
        return
      } catch (error) {
        if (tries === 2 || (error as { atOnce?: boolean }).atOnce !== true) throw error
        sink.rejected.length = 0
      }
    }
  }

  describe.each([
    ['in the transaction', {}, true],
    ['on its own', {}, false],
    ['by COPY', { copyFrom: 1 }, true],
  ] as const)('%s', (_, options, joins) => {
    test.each(Object.entries(refusing))('%s: it is rejected, and all others are written', async (_, kind) => {
      await server.query(kind.table)
      const connection = connections.get(kind.user) as PostgresConnection
      const row = (value: unknown) => value
      const sink = postgresHarness(connection, { table: 'items', row, ...options }, joins)
      await sink.open()
      const { good = 'good', bad } = kind
      for (const first of [0, 100]) {
        const ids = Array.from({ length: 20 }, (_, index) => first + index)
        const isBad = (id: number) => id % 20 === 3 || id % 20 === 17
        await write(
          sink,
          ids.map((id) => ({ id, value: isBad(id) ? bad : good })),
        )
        const rejected = sink.rejected.map(({ record }) => (record.value as { id: number }).id)
        expect(rejected.sort((a, b) => a - b)).toEqual(ids.filter(isBad))
        for (const { error } of sink.rejected) expect(error.culprit).toBe('record')
        const written = await server.query<{ id: number }>(`SELECT id FROM items WHERE id >= ${first} ORDER BY id`)
        expect(written.map(({ id }) => id)).toEqual(ids.filter((id) => !isBad(id)))
        sink.rejected.length = 0
      }
    })

    test('a value for a column that is computed of others is refused, and one for a number of its own is kept', async () => {
      await server.query(`CREATE TABLE items (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value integer,
        twice integer GENERATED ALWAYS AS (2 * value) STORED)`)
      const sink = postgresHarness(
        connections.get(undefined) as PostgresConnection,
        { table: 'items', row: (value: unknown) => value, ...options },
        joins,
      )
      await sink.open()
      await write(sink, [
        { id: 7, value: 1 },
        { id: 8, value: 2, twice: 4 },
        { id: 9, value: 3 },
      ])
      expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id)).toEqual([8])
      expect(await server.query('SELECT * FROM items ORDER BY id')).toEqual([
        { id: 7, value: 1, twice: 2 },
        { id: 9, value: 3, twice: 6 },
      ])
    })
  })

  test('rows that rely on what comes later in their transaction are written, as long as nothing is refused', async () => {
    await server.query(
      'CREATE TABLE items (id integer PRIMARY KEY, value integer REFERENCES items DEFERRABLE INITIALLY DEFERRED)',
    )
    const sink = postgresHarness(
      connections.get(undefined) as PostgresConnection,
      { table: 'items', row: (value: unknown) => value, batchSize: 1 },
      true,
    )
    await sink.open()
    await write(sink, [
      { id: 1, value: 2 },
      { id: 2, value: 1 },
    ])
    await write(sink, [
      { id: 3, value: 1 },
      { id: 4, value: 99 },
    ])
    expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id)).toEqual([4])
    await write(sink, [
      { id: 5, value: 6 },
      { id: 6, value: 5 },
    ])
    expect((await server.query<{ id: number }>('SELECT id FROM items ORDER BY id')).map(({ id }) => id)).toEqual([
      1, 2, 3, 5, 6,
    ])
  })

  test('a posted row that is refused in the end is answered with 4xx, and those beside it with 202', async () => {
    await server.query(`CREATE TABLE words (word integer PRIMARY KEY); INSERT INTO words SELECT generate_series(0, 8);
      CREATE TABLE items (id integer PRIMARY KEY, value integer REFERENCES words DEFERRABLE INITIALLY DEFERRED)`)
    const declared = flow(
      http.post('/items', { body: z.object({ id: z.int(), value: z.int() }) }),
      postgres.sink({ table: 'items', row: (item) => item, onError: 'skip' }),
    ).with({ checkpoints: 'postgres' })
    const connections = { postgres: postgres({ url: server.url }) }
    const topology = compile({ app: 'posted', connections, flows: { items: declared } }, { environment: {} })
    const served = new ReplaySubject<HttpRoute>(1)
    const serve = (route: HttpRoute) => {
      served.next(route)
      return NEVER
    }
    const { engine } = runningEngine(topology, undefined, { http: { serve } })
    const route = await firstValueFrom(served)
    const post = (id: number) => {
      const request = {
        body: { id, value: id % 10 },
        bytes: 20,
        headers: {},
        rawHeaders: [],
        query: {},
        correlationId: `c${id}`,
      }
      return firstValueFrom(route.handle(request)).then(({ status }) => status)
    }
    const answers = await Promise.all(Array.from({ length: 40 }, (_, id) => post(id)))
    expect(answers).toEqual(Array.from({ length: 40 }, (_, id) => (id % 10 === 9 ? 422 : 202)))
    expect(await server.query('SELECT count(*)::int AS n, min(value), max(value) FROM items')).toEqual([
      { n: 36, min: 0, max: 8 },
    ])
    expect(engine.status()[0]?.error).toBeUndefined()
  })

  test('a flow whose rows are looked at in the end goes on without those that are refused, and after its table was altered', async () => {
    await server.query(`CREATE TABLE words (word integer PRIMARY KEY); INSERT INTO words SELECT generate_series(0, 8);
      CREATE TABLE items (id integer PRIMARY KEY, value integer REFERENCES words DEFERRABLE INITIALLY DEFERRED)`)
    const declared = flow(
      generate({ rate: 200, count: 1_000, value: (_random, id) => ({ id, value: id % 10 }) }),
      postgres.sink({
        table: 'items',
        row: ({ id, value }: { id: number; value: number }) => ({ id, value, ...(id < 500 ? {} : { more: id }) }),
        onError: 'skip',
      }),
    ).with({ checkpoints: 'postgres', attempts: 3, epoch: { every: 100 } })
    const connections = { postgres: postgres({ url: server.url }) }
    const topology = compile({ app: 'words', connections, flows: { words: declared } }, { environment: {} })
    expect(topology.flows[0]?.guarantee).toBe('exactly-once')
    const { engine } = runningEngine(topology)
    const rows = async () => (await server.query<{ n: string }>('SELECT count(*) AS n FROM items'))[0]?.n
    await vi.waitFor(async () => expect(Number(await rows())).toBeGreaterThan(100), { timeout: 60_000, interval: 50 })
    await server.query('ALTER TABLE items ADD COLUMN more integer')
    await vi.waitFor(async () => expect(await rows()).toBe('900'), { timeout: 60_000, interval: 100 })
    expect(
      await server.query('SELECT count(*) AS n FROM items WHERE value = 9 OR (id >= 500 AND more IS NULL)'),
    ).toEqual([{ n: '0' }])
    expect(engine.status()[0]?.state).not.toBe('failed')
  })
})
