import { lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { CassandraConnection } from '../../src/cassandra/connection.js'
import { CassandraViews } from '../../src/cassandra/views.js'
import { cassandra } from '../../src/connectors/cassandra.js'
import { systemClock } from '../../src/model/index.js'
import { cassandraHarness, cassandraSinkUnderTest, openCassandra } from '../contracts/cassandra-under-test.js'
import { done } from '../contracts/checkpoints.contract.js'
import type { SinkHarness } from '../contracts/sink-harness.js'
import { heldUpContract, oddities, recordsOf, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { viewStorageContract } from '../contracts/view-storage.contract.js'
import { CassandraServer, missingCassandra } from './cassandra-server.js'
import { onWay } from './tcp-proxy.js'

const missing = missingCassandra()
const because = missing === undefined ? '' : ` (${missing})`
const self = <V>(value: V) => value

describe.skipIf(missing !== undefined)(`the Cassandra sink on a real server${because}`, () => {
  let server: CassandraServer
  let connection: CassandraConnection

  const given = (more: object = {}) => ({
    contactPoints: [server.contactPoint],
    username: server.username,
    password: server.password,
    keyspace: 'weir',
    replication: 1,
    ...more,
  })

  beforeAll(async () => {
    server = await CassandraServer.start()
    connection = openCassandra(given())
  })
  afterAll(async () => {
    await connection?.close()
    await server?.close()
  })

  sinkContract('Cassandra', () => cassandraSinkUnderTest(connection, () => Promise.resolve()), refusals, oddities)

  heldUpContract('Cassandra', () => {
    const [, port = ''] = server.contactPoint.split(':')
    const contactBy = (other: number) => server.contactPoint.replace(`:${port}`, `:${other}`)
    const openBy = (other: number) => openCassandra(given({ contactPoints: [contactBy(other)], timeout: '2s' }))
    return onWay(Number(port), openBy, cassandraSinkUnderTest)
  })

  viewStorageContract('Cassandra', () =>
    Promise.resolve({ connect: () => new CassandraViews(connection, systemClock), close: () => Promise.resolve() }),
  )

  test('the fences of a view stay close to the clock, however often it is claimed', async () => {
    const views = new CassandraViews(connection, systemClock)
    await done(views.open())
    const claim = { view: 'often', part: 'p', generation: 1, task: 'flow.view', total: 1 }
    for (let time = 0; time < 30; time++) await lastValueFrom(views.claim(claim))
    const [row] = await server.query<{ fence: bigint }>(
      "SELECT fence FROM weir.weir_view_parts WHERE view_name = 'often' AND part = 'p'",
    )
    // Thirty claims in a moment, each ahead of the one before: half a minute, where a day of them must not be a year.
    expect(Number(row?.fence) / 1_000 - Date.now()).toBeLessThan(60_000)
  })

  const sinkOf = async (options: Readonly<Record<string, unknown>>, at = connection) => {
    const sink = cassandraHarness(at, { row: self, ...options })
    await sink.open()
    return sink
  }
  const write = (sink: SinkHarness, values: readonly unknown[]) => done(sink.epoch(recordsOf(values)))

  test('types', async () => {
    const columns =
      'i int, b bigint, v varint, d double, e decimal, t text, y blob, o boolean, at timestamp, on_day date, u uuid, l list<int>, m map<text, int>'
    const create = `CREATE TABLE types (id int PRIMARY KEY, ${columns})`
    const sink = await sinkOf({ table: 'types', create })
    const instant = new Date('2024-03-10T23:30:00.789Z')
    const uuid = '8b1a9953-c461-4296-a827-abf8c47804d7'
    await write(sink, [
      {
        id: 1,
        i: -7,
        b: 9_007_199_254_740_993n,
        v: '123456789012345678901234567890',
        d: 0.1,
        e: '12.34',
        t: 'é\u{1F9A6}',
      },
      { id: 2, y: new Uint8Array([0, 255]), o: false, at: instant, on_day: instant, u: uuid, l: [1, 2], m: { a: 1 } },
      { id: 3, b: 5, e: 0.5, t: { a: [1, null] }, at: instant.getTime(), on_day: '2024-02-29', i: '12' },
    ])
    expect(sink.rejected).toEqual([])
    const [row = {}] = await server.query<{ json: string }>(
      'SELECT CAST(b AS text) AS b, CAST(v AS text) AS v, d, CAST(e AS text) AS e, i, t FROM weir.types WHERE id = 1',
    )
    expect(row).toMatchObject({
      b: '9007199254740993',
      v: '123456789012345678901234567890',
      d: 0.1,
      e: '12.34',
      i: -7,
      t: 'é\u{1F9A6}',
    })
    const rows = await server.query<Record<string, unknown>>('SELECT JSON * FROM weir.types')
    const shown = rows.map((row) => JSON.parse(String(row['[json]'])) as Record<string, unknown>)
    expect(shown.find(({ id }) => id === 2)).toMatchObject({
      y: '0x00ff',
      o: false,
      at: '2024-03-10 23:30:00.789Z',
      on_day: '2024-03-10',
      u: uuid,
      l: [1, 2],
      m: { a: 1 },
      t: null,
    })
    expect(shown.find(({ id }) => id === 3)).toMatchObject({
      b: 5,
      e: 0.5,
      t: '{"a":[1,null]}',
      at: '2024-03-10 23:30:00.789Z',
      on_day: '2024-02-29',
      i: 12,
    })
  })

  test('what does not fit a column is the fault of its record', async () => {
    const create =
      'CREATE TABLE refusals (id int PRIMARY KEY, i int, d double, o boolean, at timestamp, u uuid, l list<int>)'
    const sink = await sinkOf({ table: 'refusals', create })
    const refused = [
      { id: 1, i: 'seven' },
      { id: 1, i: 2 ** 40 },
      { id: 1, d: 'x' },
      { id: 1, o: 1 },
      { id: 1, at: new Date(Number.NaN) },
      { id: 1, u: 'no uuid' },
      { id: 1, l: ['x'] },
      { id: null, i: 1 },
      { i: 1 },
    ]
    await write(sink, [...refused, { id: 2, i: 3 }])
    expect(sink.rejected.map(({ record }) => record.value)).toEqual(expect.arrayContaining(refused))
    expect(sink.rejected).toHaveLength(refused.length)
    expect(sink.rejected[0]?.error.message).toMatch(/^writing to table refusals: ./)
    expect(await server.query('SELECT id, i FROM weir.refusals')).toMatchObject([{ id: 2, i: 3 }])
  })

  test('of what is written to a key in one batch the last counts, also when it only looks like another', async () => {
    const sink = await sinkOf({
      table: 'merged',
      create: 'CREATE TABLE merged (id bigint PRIMARY KEY, a text, b text)',
    })
    await write(sink, [
      { id: 1, a: 'z', b: 'kept' },
      { id: '1', a: 'y' },
      { id: 1n, a: 'x' },
      { id: 2, a: '1' },
      { id: 2, a: '0', b: null },
    ])
    expect(sink.rejected).toEqual([])
    const rows = await server.query<{ a: string; b: string | null }>('SELECT a, b FROM weir.merged')
    expect(rows.map(({ a, b }) => [a, b])).toEqual(
      expect.arrayContaining([
        ['x', 'kept'],
        ['0', null],
      ]),
    )
    expect(rows).toHaveLength(2)
  })

  test('a replay changes nothing', async () => {
    const sink = await sinkOf({ table: 'counts', create: 'CREATE TABLE counts (domain text PRIMARY KEY, n bigint)' })
    const changes = Array.from({ length: 3_000 }, (_, index) => ({ domain: `d${index % 7}`, n: index }))
    await write(sink, changes)
    await write(sink, changes)
    const rows = await server.query<{ domain: string; n: { toNumber(): number } }>('SELECT * FROM weir.counts')
    const counted = Object.fromEntries(rows.map(({ domain, n }) => [domain, n.toNumber()]))
    expect(counted).toEqual(
      Object.fromEntries([0, 1, 2, 3, 4, 5, 6].map((id) => [`d${id}`, 2_999 - ((2_999 - id) % 7)])),
    )
  })

  test('consistency that the cluster can not have fails the epoch', async () => {
    const sink = await sinkOf({ table: 'counts', consistency: 'three', retries: 0 })
    await expect(write(sink, [{ domain: 'd', n: 1 }])).rejects.toMatchObject({
      code: 'WEIR_SINK_FAILED',
      remedy: 'retry',
    })
    expect(sink.rejected).toEqual([])
  })

  describe('the set-up', () => {
    test.each([
      ['a missing table', {}, { table: 'nowhere' }, 'Create the table, or give the sink `create`.'],
      ['a broken `create`', {}, { table: 'nowhere', create: 'CREATE TABEL nowhere' }, /Mend/],
      ['a wrong password', { password: 'wrong' }, { table: 'counts' }, 'Check user and password.'],
      [
        'a missing keyspace',
        { keyspace: 'nowhere', replication: undefined },
        { table: 'counts' },
        /Create the keyspace/,
      ],
      ['another data centre', { localDataCenter: 'mars' }, { table: 'counts' }, /Correct `localDataCenter`/],
    ])('%s stops the flow', async (_what, changed, options, hint) => {
      const at = openCassandra(given(changed))
      onTestFinished(() => at.close())
      const stopped = {
        remedy: 'stop',
        hint: typeof hint === 'string' ? hint : (expect.stringMatching(hint) as string),
      }
      await expect(sinkOf(options, at)).rejects.toMatchObject(stopped)
    })

    test('counters stop the flow', async () => {
      const create = 'CREATE TABLE counted (id int PRIMARY KEY, n counter)'
      await expect(sinkOf({ table: 'counted', create })).rejects.toMatchObject({
        remedy: 'stop',
        message: "opening table counted: 'n' is a counter",
      })
    })

    test('a column that the table lacks is the fault of the record that names it', async () => {
      const sink = await sinkOf({ table: 'counts' })
      await write(sink, [{ domain: 'd', m: 1 }])
      expect(sink.rejected).toMatchObject([{ record: { value: { domain: 'd', m: 1 } } }])
    })

    test('names are spelled as they are', async () => {
      const create = 'CREATE TABLE "Odd" ("Id" int PRIMARY KEY, "select" text)'
      const sink = await sinkOf({ table: 'weir.Odd', create })
      await write(sink, [{ Id: 1, select: 'x' }])
      expect(await server.query('SELECT "select" FROM weir."Odd"')).toMatchObject([{ select: 'x' }])
    })
  })

  test('a server killed in the middle ends the epoch with an error to retry, and takes it when it is back', async () => {
    const create = 'CREATE TABLE survivors (id int PRIMARY KEY, text text)'
    const sink = await sinkOf({ table: 'survivors', create, batchSize: 100 })
    const values = (count: number) => Array.from({ length: count }, (_, id) => ({ id, text: `item ${id}` }))
    await write(sink, values(500))
    const epoch = write(sink, values(20_000))
    const failed = expect(epoch).rejects.toMatchObject({ name: 'WeirError', remedy: 'retry' })
    await new Promise((resolve) => setTimeout(resolve, 150))
    await server.kill()
    await failed
    await expect(write(sink, values(1))).rejects.toMatchObject({ code: 'WEIR_SINK_UNREACHABLE', remedy: 'retry' })
    await server.start()
    const again = () =>
      write(sink, values(3_000)).then(
        () => 'written',
        () => 'failed',
      )
    await expect.poll(again, { interval: 200 }).toBe('written')
    expect(sink.rejected).toEqual([])
    const rows = await server.query<{ id: number; text: string }>('SELECT id, text FROM weir.survivors')
    expect(rows.length).toBeGreaterThanOrEqual(3_000)
    expect(rows.every(({ id, text }) => text === `item ${id}`)).toBe(true)
  })
})

test('a server that is not there is worth another try', async () => {
  const nobody = openCassandra({ contactPoints: ['127.0.0.1:1'], keyspace: 'weir' })
  await expect(cassandraHarness(nobody, { table: 'items', row: self }).open()).rejects.toMatchObject({
    code: 'WEIR_SINK_UNREACHABLE',
    remedy: 'retry',
  })
  await nobody.close()
})

test('the address shows no secret', () => {
  const { address } = openCassandra({ contactPoints: ['a:1', 'b'], keyspace: 'k', username: 'ann', password: 'secret' })
  expect(address).toBe('cassandra://ann@a:1,b/k')
})

test.each([
  {},
  { contactPoints: [], keyspace: 'k' },
  { contactPoints: ['http://a'], keyspace: 'k' },
  { contactPoints: ['a'] },
  { contactPoints: ['a'], keyspace: 'k', username: 'ann' },
])('%j is no place of Cassandra', (given) => expect(cassandra.definition.options.safeParse(given).success).toBe(false))
