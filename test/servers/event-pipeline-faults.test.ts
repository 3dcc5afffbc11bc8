import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventPipelines } from '../support/event-pipelines.js'
import { until } from '../support/job.js'
import { because, jobServers, missing } from '../support/job-servers.js'
import { type RawRecord, writeTopic } from '../support/job-truth.js'
import { PostgresServer } from './postgres-server.js'
import { TcpProxy } from './tcp-proxy.js'
import { configure } from './topic-tools.js'

type Pipelines = ReturnType<typeof eventPipelines>
type Pipeline = Awaited<ReturnType<Pipelines['pipeline']>>

const eventText = (eventId: string, more: object = {}) =>
  JSON.stringify({ eventId, eventType: 'page_view', userId: 1, ...more })
/** Who comes back under its name has its partitions at once. */
const lasting = { WEIR_INSTANCE_ID: 'the-one' }
const events = (from: number, to: number, more: object = {}) =>
  Array.from({ length: to - from }, (_, index) => eventText(`event-${from + index}`, more))

/** Has statements of the pipeline's inserts, or its commits, wait from now on. Returns what ends that. */
async function held({ session }: Pipeline, phase: 'write' | 'commit') {
  const keeper = await session()
  onTestFinished(() => keeper.end())
  const when = { write: 'BEFORE', commit: 'AFTER' }[phase]
  const deferred = phase === 'commit' ? 'DEFERRABLE INITIALLY DEFERRED' : ''
  await keeper.query(`
    CREATE OR REPLACE FUNCTION pipeline.wait() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
    CREATE ${phase === 'commit' ? 'CONSTRAINT' : ''} TRIGGER wait ${when} INSERT ON pipeline.events ${deferred}
      FOR EACH ROW EXECUTE FUNCTION pipeline.wait();
    SELECT pg_advisory_lock(1)`)
  return async () => {
    await keeper.query('SELECT pg_advisory_unlock(1)')
    await keeper.query('DROP TRIGGER wait ON pipeline.events')
  }
}

/** What sessions of a pipeline do that wait for such a lock. */
const waiting = ({ query, name }: Pipeline, event = 'advisory') =>
  query<{ pid: number; query: string }>(
    'SELECT pid, query FROM pg_stat_activity WHERE datname = $1 AND wait_event = $2',
    [name, event],
  )

describe.skipIf(missing !== undefined)(`faults of the event pipeline${because(missing)}`, { timeout: 120_000 }, () => {
  const servers = jobServers()
  const { pipeline, tools } = eventPipelines(servers)

  /** It runs, with a topic of three partitions. */
  const begun = async (system: Pipeline) => {
    const log = await tools()
    await log.create(system.topic, 3)
    return { system, log, worker: await system.start('event-pipeline') }
  }

  const eachOnce = async (system: Pipeline, count: number) => {
    await until(async () => (await system.ids()).length >= count, 'all are stored')
    const ids = await system.ids()
    expect([ids.length, new Set(ids).size]).toEqual([count, count])
  }

  test('a standby that is promoted under load goes on where its primary was, and each event is one row', async () => {
    const primary = await PostgresServer.start({ fsync: true })
    onTestFinished(() => primary.close())
    const standby = await primary.standby()
    onTestFinished(() => standby.close())
    const way = await TcpProxy.start(primary.port)
    onTestFinished(() => way.close())
    const { pipeline } = eventPipelines({ kafka: servers.kafka, postgres: primary })
    const { system, log, worker } = await begun(await pipeline({}, way.port))
    let sent = 0
    const sending = (async () => {
      for (; sent < 30_000; sent += 300) {
        await log.put(system.topic, (sent / 300) % 3, events(sent, sent + 300))
        await sleep(20)
      }
    })()
    await until(async () => (await system.ids()).length > 3_000, 'it runs')
    way.target = standby.port
    await primary.kill()
    way.cut()
    await until(
      () => worker.log.some((line) => JSON.stringify(line).includes('read-only transaction')),
      'it has noticed',
    )
    await standby.query('SELECT pg_promote()')
    await standby.query("ALTER SYSTEM SET synchronous_standby_names = ''")
    await standby.query('SELECT pg_reload_conf()')
    await sending
    await eachOnce(system, sent)
    expect(await system.letters()).toEqual([])
    expect(await worker.stop()).toBe(0)
  })

  test('a database that is slow, and then silent for a while, is waited for', async () => {
    const way = await TcpProxy.start(servers.postgres.port)
    onTestFinished(() => way.close())
    const { system, log, worker } = await begun(await pipeline({}, way.port))
    let answers = 0
    way.disturb(() => (++answers % 3 === 0 ? 'is halved' : 'waits'))
    for (let partition = 0; partition < 3; partition++)
      await log.put(system.topic, partition, events(partition * 4_000, (partition + 1) * 4_000))
    await until(async () => (await system.ids()).length > 0, 'it has begun')
    way.disturb(undefined)
    way.hold()
    await log.put(system.topic, 0, events(12_000, 20_000))
    await sleep(2_000)
    way.release()
    await eachOnce(system, 20_000)
    expect(worker.log.filter(({ level }) => level === 'error')).toEqual([])
    expect(await worker.stop()).toBe(0)
  })

  test('an event that another transaction has put there first, which a snapshot would not see, is not put twice', async () => {
    const system = await pipeline()
    await system.query(`ALTER DATABASE ${system.name} SET default_transaction_isolation = 'repeatable read'`)
    const log = await tools()
    await log.create(system.topic, 3)
    const worker = await system.start('event-pipeline')
    await log.put(system.topic, 0, [eventText('first')])
    await eachOnce(system, 1)
    const other = await system.session()
    onTestFinished(() => other.end())
    await other.query('BEGIN')
    await other.query(`INSERT INTO pipeline.events VALUES ('b', 'x', 'x', now(), '{}', null, 'x', 0, 0)`)
    await log.put(system.topic, 0, [eventText('a'), eventText('b'), eventText('c')])
    await until(async () => (await waiting(system, 'transactionid')).length > 0, 'it waits')
    await other.query('COMMIT')
    await eachOnce(system, 4)
    expect(worker.log.filter(({ level }) => level === 'error')).toEqual([])
    expect(await system.letters()).toEqual([])
    expect(await worker.stop()).toBe(0)
  })

  test.each([
    ['by INSERT', 1, 'timestamp'],
    ['by INSERT', 1, 'date'],
    ['by COPY', 5_000, 'timestamp'],
  ])('a column that is widened while rows are written %s takes what comes as it is', async (_, many, before) => {
    const { system, log, worker } = await begun(await pipeline(lasting))
    await log.put(system.topic, 0, [eventText('first')])
    await eachOnce(system, 1)
    await worker.kill()
    await system.query(`ALTER TABLE pipeline.events ALTER COLUMN user_id TYPE integer USING 1,
      ALTER COLUMN occurred_at TYPE ${before}, ALTER COLUMN kafka_offset TYPE smallint`)
    worker.start()
    const time = '2024-05-01T10:00:00.123456Z'
    const timestamp = { timestamp: time }
    await log.put(system.topic, 0, [eventText('narrow', timestamp)])
    await eachOnce(system, 2)
    const release = await held(system, 'write')
    await log.put(system.topic, 0, events(0, many, timestamp))
    await until(async () => (await waiting(system)).length > 0, 'it writes')
    const altered = system.query(`ALTER TABLE pipeline.events ALTER COLUMN user_id TYPE text,
      ALTER COLUMN occurred_at TYPE timestamptz, ALTER COLUMN kafka_offset TYPE bigint`)
    await until(async () => (await waiting(system, 'relation')).length > 0, 'that waits')
    await release()
    await altered
    await eachOnce(system, 2 + many)
    await log.put(system.topic, 0, events(many, 2 * many, timestamp))
    await log.put(system.topic, 0, [eventText('wide', { ...timestamp, userId: 'ann' })])
    await eachOnce(system, 3 + 2 * many)
    const wide = `event_id LIKE 'event-%' AND substr(event_id, 7)::integer >= ${many} OR event_id = 'wide'`
    const [kept] = await system.query(
      `SELECT count(*)::int AS n FROM pipeline.events WHERE occurred_at = '${time}' AND (${wide})`,
    )
    expect(kept).toEqual({ n: many + 1 })
    expect(await system.letters()).toEqual([])
    expect(await worker.stop()).toBe(0)
  })

  describe('killed', () => {
    test('as it reads, it begins again, and each event is one row', async () => {
      const { system, log, worker } = await begun(await pipeline(lasting))
      // No batch is full by then, and more is to come.
      await configure(servers.kafka.bootstrap, 'clients', system.name, 'consumer_byte_rate=200000')
      await log.put(system.topic, 0, events(0, 4_000, { payload: { padding: 'x'.repeat(1_000) } }))
      const read = () => worker.metric('weir_records_in_total', { flow: 'event-pipeline', stage: 'json' })
      await until(async () => ((await read()) ?? 0) > 0, 'it reads')
      expect(await system.ids()).toEqual([])
      await worker.kill()
      expect(await system.ids()).toEqual([])
      await configure(servers.kafka.bootstrap, 'clients', system.name, 'consumer_byte_rate=200000000')
      worker.start()
      await eachOnce(system, 4_000)
      expect(await worker.stop()).toBe(0)
    })

    test.each([
      ['writes', 'write', 'goes on'],
      ['commits, which comes to pass all the same', 'commit', 'goes on'],
      ['commits, which comes to nothing', 'commit', 'is ended'],
    ] as const)('as it %s, each event is one row', async (_, phase, then) => {
      const { system, log, worker } = await begun(await pipeline(lasting))
      await log.put(system.topic, 0, [eventText('first')])
      await eachOnce(system, 1)
      const release = await held(system, phase)
      // All of it is there when it begins to read, and so goes by one COPY.
      await worker.kill()
      await log.put(system.topic, 0, events(0, 3_000))
      worker.start()
      await until(async () => (await waiting(system)).length > 0, 'it waits')
      const [waits] = await waiting(system)
      expect(waits?.query).toMatch(phase === 'write' ? /^COPY/ : /COMMIT/i)
      await worker.kill()
      worker.start()
      await log.put(system.topic, 0, events(3_000, 3_010))
      // The next one stands behind what the last one has left.
      const blocked = phase === 'write' ? 'advisory' : 'transactionid'
      await until(
        async () => (await waiting(system, blocked)).some(({ pid }) => pid !== waits?.pid),
        'the next one has come up',
      )
      if (then === 'is ended') await system.query('SELECT pg_terminate_backend($1, 5000)', [waits?.pid])
      await release()
      await eachOnce(system, 3_011)
      expect(await worker.stop()).toBe(0)
    })
  })

  test.skipIf(!existsSync(data('')))(
    'recorded streams at 20,000/s, into two processes, with a database that is killed twice',
    async () => {
      const system = await pipeline()
      const log = await tools()
      await log.create(system.topic, 3)
      const workers = [await system.start('event-pipeline'), await system.start('event-pipeline')]
      const ids = new Set<string>()
      const bad = new Set<string>()
      const next = [0, 0, 0]
      const recorded = recordings()
      const seconds = 8
      const slice = 5_000
      const records = function* (from: number): Generator<RawRecord> {
        for (let index = from; index < from + slice; index++) {
          // Again and again, so that ids come back.
          const { text, id } = recorded[(index * 7) % recorded.length] as Line
          const partition = index % 3
          const place = `${partition}@${next[partition]}`
          next[partition] = (next[partition] ?? 0) + 1
          if (id === undefined) bad.add(place)
          else ids.add(id === '' ? `${system.topic}-${place}` : id)
          yield { partition, key: 'any', value: text }
        }
      }
      const began = Date.now()
      const sending = (async () => {
        for (let of = 0; of < seconds * 4; of++) {
          await writeTopic(servers.kafka.bootstrap, system.topic, records(of * slice))
          await sleep(Math.max(0, began + (of + 1) * 250 - Date.now()))
        }
      })()
      for (let kill = 0; kill < 2; kill++) {
        const before = (await system.ids()).length
        await until(async () => (await system.ids()).length > before + 5_000, 'it goes on')
        await servers.postgres.kill()
        await sleep(500)
        await servers.postgres.start()
      }
      await sending
      await until(async () => (await system.ids()).length >= ids.size, 'all are stored')
      for (const worker of workers) expect(await worker.stop()).toBe(0)
      const stored = await system.ids()
      expect(stored).toHaveLength(ids.size)
      expect(new Set(stored)).toEqual(ids)
      expect(new Set((await system.letters()).map(({ at }) => at))).toEqual(bad)
      expect(bad.size).toBeGreaterThan(1_000)
    },
  )
})

/** What is sent, and the id of the row that it is: empty for that of its place, undefined for what is no event. */
interface Line {
  readonly text: string
  readonly id: string | undefined
}

function data(name: string): URL {
  return new URL(`../../../shared/data/${name}`, import.meta.url)
}

function lines(name: string): string[] {
  const file = readFileSync(data(name))
  const text = (name.endsWith('.gz') ? gunzipSync(file) : file).toString('latin1')
  return text.split('\n').filter((line) => line !== '')
}

/** Edits with ids of their own, requests without, and lines of other kinds. */
function recordings(): readonly Line[] {
  const edits = lines('wikimedia/recentchange-2026-05-05.ndjson.gz').map((line): Line => {
    const { meta, user } = JSON.parse(line) as { meta: { id: string; dt: string; uri: string }; user: string }
    const event = { eventId: meta.id, eventType: 'page_view', userId: user, timestamp: meta.dt, url: meta.uri }
    return { text: JSON.stringify(event), id: meta.id }
  })
  const [, ...requests] = lines('clickstream/nasa-http-1995-08-01.tsv.gz')
  const views = requests.map((line): Line => {
    const [host, , time, , url] = line.split('\t')
    const event = { event_type: 'page_view', user_id: host, timestamp: Number(time) * 1_000, url }
    return { text: JSON.stringify(event), id: '' }
  })
  const others = [
    ...lines('wikimedia/recentchange-2026-05-05.cut500.ndjson'),
    ...lines('clickstream/apache-access-2015-05.cut500.log'),
    ...lines('usgs/all_month-2021-05-22.cut500.csv'),
  ].map((text): Line => ({ text, id: undefined }))
  return [...edits, ...views, ...others]
}
