import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventPipelines } from '../support/event-pipelines.js'
import { until } from '../support/job.js'
import { because, jobServers, missing } from '../support/job-servers.js'
import { installKafka } from './kafka-install.js'

describe.skipIf(missing !== undefined)(`the event pipeline${because(missing)}`, () => {
  const servers = jobServers()
  const { pipeline, tools } = eventPipelines(servers)

  /** As `kafka-console-producer` does. */
  const consoleProduces = (topic: string, lines: readonly string[]) =>
    new Promise<void>((resolve, reject) => {
      const tool = ['org.apache.kafka.tools.ConsoleProducer', '--bootstrap-server', servers.kafka.bootstrap]
      const child = execFile('java', ['-cp', installKafka().jars, ...tool, '--topic', topic], (error) =>
        error === null ? resolve() : reject(error),
      )
      child.stdin?.end(`${lines.join('\n')}\n`)
    })

  test('what comes from the console and by HTTP is a row, and what is bad a dead letter with every fault', async () => {
    const system = await pipeline({ EVENTS_TOPIC: 'events' })
    const worker = await system.start('event-intake', 'event-pipeline')
    const began = Date.now()
    const post = async (body: unknown, headers = {}) => {
      const answer = await fetch(`${worker.url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
      return { status: answer.status, body: await answer.json() }
    }
    const bad = [
      '{"eventType":"user_signup","userId":',
      '{"eventType":"user_vanished","userId":1}',
      '{"eventType":"purchase","userId":1,"amount":"much","currency":"euros"}',
      '{"eventType":"user_signup","userId":1,"schemaVersion":9}',
      '{"eventId":"z","eventType":"page_view","userId":1,"url":"\\u0000"}',
      '[]',
    ]
    const [, answer, refused] = await Promise.all([
      consoleProduces('events', [
        '{"eventType":"user_signup","userId":123}',
        ...bad,
        '{"event_type":"page_view","user_id":"ann","event_id":7,"timestamp":"2024-05-01T10:00:00.123456+02:00","correlation_id":"c-1"}',
        '{"eventType":"page_view","userId":12345678901234567890,"url":"/"}',
      ]),
      post([{ eventId: 'e', eventType: 'user_login', userId: 'bob' }], { 'x-correlation-id': 'by-http' }),
      post([{ eventType: 'user_login' }, { eventId: 'f', eventType: 'user_login', user_id: 'bob' }]),
    ])
    expect(answer.status).toBe(202)
    expect(refused).toMatchObject({
      status: 422,
      body: { accepted: 1, rejected: [{ index: 0, code: 'WEIR_RECORD_INVALID' }] },
    })
    await until(async () => (await system.ids()).length === 5, 'all are stored')

    const rows = await system.rows()
    const of = (id: string) => rows.find(({ event_id }) => event_id === id)
    const seed = rows.find(({ user_id }) => user_id === '123')
    expect(seed).toMatchObject({
      event_id: `events-${seed?.partition}@${seed?.kafka_offset}`,
      event_type: 'user_signup',
      payload: { eventType: 'user_signup', userId: 123 },
      correlation_id: null,
      topic: 'events',
    })
    expect(seed?.occurred_at.getTime()).toBeGreaterThan(began)
    expect(seed?.occurred_at.getTime()).toBeLessThanOrEqual(Date.now())
    expect(of('7')).toMatchObject({ event_type: 'page_view', user_id: 'ann', correlation_id: 'c-1' })
    const exact = await system.query(
      `SELECT occurred_at = '2024-05-01T08:00:00.123456Z' AS exact, (SELECT payload->>'userId' FROM pipeline.events WHERE user_id = '12345678901234567890') AS digits
       FROM pipeline.events WHERE event_id = '7'`,
    )
    expect(exact).toEqual([{ exact: true, digits: '12345678901234567890' }])
    expect(of('e')).toMatchObject({ user_id: 'bob', correlation_id: 'by-http' })
    // Those of a user stay in order.
    expect(of('f')?.partition).toBe(of('e')?.partition)

    await until(async () => (await system.letters()).length === bad.length, 'the dead letters are there')
    const why = new Map((await system.letters()).map((letter) => [letter.text, letter.why]))
    expect(bad.map((text) => why.get(text))).toEqual([
      expect.stringContaining('JSON'),
      expect.stringContaining("there is no schema for the type 'user_vanished'"),
      expect.stringMatching(/amount: must be number; currency: must match pattern/),
      expect.stringContaining("there is no v9 of 'user_signup', but v1, v2"),
      expect.stringContaining('unsupported Unicode escape sequence'),
      expect.stringContaining('it says no type'),
    ])
    const counted = (code: string) =>
      worker.metric('weir_records_rejected_total', { flow: 'event-pipeline', stage: 'validate', code })
    expect(await counted('WEIR_RECORD_NO_SCHEMA')).toBe(3)
    expect(await counted('WEIR_RECORD_INVALID')).toBe(1)
    const indexes = await system.query("SELECT indexdef FROM pg_indexes WHERE schemaname = 'pipeline'")
    expect(indexes.map(({ indexdef }) => /\((.*)\)/.exec(indexdef as string)?.[1]).sort()).toEqual([
      'correlation_id) WHERE (correlation_id IS NOT NULL',
      'event_id',
      'event_type, occurred_at',
      'occurred_at',
      'user_id, occurred_at',
    ])
    expect(await worker.stop()).toBe(0)
  })

  test('each event is one row, whatever becomes of the worker, the database and the table meanwhile', async () => {
    const system = await pipeline({ WEIR_INSTANCE_ID: 'the-one' })
    const log = await tools()
    await log.create(system.topic, 3)
    // As an older version made it, and another tool.
    await system.query(`CREATE SCHEMA pipeline CREATE TABLE events (
      event_id varchar(40) PRIMARY KEY, event_type text, user_id varchar(12), occurred_at timestamptz, payload jsonb,
      topic text, partition smallint, kafka_offset integer)`)
    await system.query(`CREATE TABLE pipeline.faults (code text);
      CREATE FUNCTION pipeline.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM pipeline.faults) THEN RAISE SQLSTATE '40001' USING MESSAGE = 'made: could not serialize'; END IF;
        RETURN NEW; END $$;
      CREATE TRIGGER fail BEFORE INSERT ON pipeline.events FOR EACH ROW EXECUTE FUNCTION pipeline.fail()`)
    const worker = await system.start('event-pipeline')

    let isOver = false
    const good = new Set<string>()
    const bad: string[] = []
    const sending = (async () => {
      for (let index = 0; !isOver; index += 300) {
        const texts = Array.from({ length: 300 }, (_, of) => {
          const at = index + of
          if (at % 100 === 50) return `{"eventId":"bad-${at}","eventType":"purchase","userId":1,"amount":${at}`
          // One in ten was sent before, in another partition too.
          const id = at % 10 === 9 ? Math.floor(at / 3) : at
          return JSON.stringify({ eventId: `event-${id}`, eventType: 'page_view', userId: at % 40, url: `/${at}` })
        })
        for (const text of texts) {
          if (!text.endsWith('}')) bad.push(text)
          else good.add((JSON.parse(text) as { eventId: string }).eventId)
        }
        await log.put(system.topic, (index / 300) % 3, texts, 'any')
        await sleep(60)
      }
    })()
    const stored = async () => new Set(await system.ids().catch(() => [])).size
    const goesOn = async () => {
      const before = await stored()
      await until(async () => (await stored()) > before + 500, 'it goes on')
    }
    const said = (text: string) => worker.log.some((line) => JSON.stringify(line).includes(text))

    // Before it has come up, in its first epoch, and under load.
    for (const ms of [0, 1_200, 2_500]) {
      await worker.kill()
      worker.start()
      await sleep(ms)
    }
    await worker.kill()
    worker.start()
    await goesOn()

    await servers.postgres.kill()
    await servers.postgres.start()
    await goesOn()

    await system.query(`ALTER TABLE pipeline.events ALTER COLUMN kafka_offset TYPE bigint,
      ALTER COLUMN user_id TYPE text, ALTER COLUMN partition TYPE integer`)
    await goesOn()

    await system.query("INSERT INTO pipeline.faults VALUES ('40001')")
    await until(() => said('could not serialize'), 'it has failed')
    await system.query('TRUNCATE pipeline.faults')
    await goesOn()

    await servers.postgres.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await servers.postgres.query('SELECT pg_reload_conf()')
    await until(() => said('read-only transaction'), 'it has noticed')
    await servers.postgres.query('BEGIN READ WRITE; COMMIT')
    const writer = await system.session()
    await writer.query('SET default_transaction_read_only = off')
    await writer.query('ALTER SYSTEM RESET default_transaction_read_only')
    await writer.query('SELECT pg_reload_conf()')
    await writer.end()
    await goesOn()

    isOver = true
    await sending
    await until(async () => (await stored()) >= good.size, 'all are stored')
    expect(await worker.stop()).toBe(0)
    const ids = await system.ids()
    expect(ids).toHaveLength(good.size)
    expect(new Set(ids)).toEqual(good)
    expect(await system.query('SELECT count(*)::int AS n FROM pipeline.events WHERE created_at IS NULL')).toEqual([
      { n: 0 },
    ])
    // What was committed only in part is written again.
    expect(new Set((await system.letters()).map(({ text }) => text))).toEqual(new Set(bad))
  })

  test('a deadlock with another writer is tried again, and each event is one row', async () => {
    const system = await pipeline()
    const log = await tools()
    await log.create(system.topic, 3)
    const worker = await system.start('event-pipeline')
    const event = (eventId: string) => JSON.stringify({ eventId, eventType: 'user_login', userId: 1 })
    await log.put(system.topic, 0, [event('first')])
    await until(async () => (await system.ids()).length === 1, 'the first is stored')
    const other = await system.session()
    onTestFinished(() => other.end())
    const insert = (id: string) =>
      other.query(`INSERT INTO pipeline.events VALUES ('${id}', 'x', 'x', now(), '{}', null, 'x', 0, 0)`)
    // The worker is the one to notice.
    await other.query("SET deadlock_timeout = '1h'")
    await other.query('BEGIN')
    await insert('b')
    await log.put(system.topic, 0, [event('a'), event('b')])
    await until(
      async () => (await system.query("SELECT FROM pg_stat_activity WHERE wait_event = 'transactionid'")).length > 0,
      'it waits',
    )
    await insert('a')
    await other.query('ROLLBACK')
    await until(async () => (await system.ids()).length === 3, 'all are stored')
    expect(worker.log.filter(({ msg }) => msg?.includes('deadlock detected'))).not.toEqual([])
    expect((await system.ids()).sort()).toEqual(['a', 'b', 'first'])
    expect(await worker.stop()).toBe(0)
  })

  test('in partitions of days an id is unique all the same, though two processes write it under two days', async () => {
    const system = await pipeline({ PIPELINE_PARTITION: 'day' })
    const log = await tools()
    await log.create(system.topic, 3)
    const workers = [await system.start('event-pipeline'), await system.start('event-pipeline')]
    const day = (of: number) => new Date(Date.UTC(2026, 9, 1 + (of % 7), 12)).toISOString()
    const texts = (partition: number) =>
      Array.from({ length: 3_000 }, (_, of) =>
        JSON.stringify({ eventId: `event-${of}`, eventType: 'page_view', userId: 1, timestamp: day(of + partition) }),
      )
    const far = '{"eventId":"far","eventType":"page_view","userId":1,"timestamp":"2999-01-01T00:00:00Z"}'
    const old = '{"eventId":"old","eventType":"page_view","userId":1,"timestamp":"1999-01-01T00:00:00Z"}'
    await Promise.all([0, 1, 2].map((partition) => log.put(system.topic, partition, [...texts(partition), far, old])))
    await until(async () => (await system.ids()).length >= 3_001, 'all are stored')
    await until(async () => (await system.letters()).length >= 3, 'what is of no day is a dead letter')
    for (const worker of workers) expect(await worker.stop()).toBe(0)
    const [counted] = await system.query(
      'SELECT count(*)::int AS rows, count(DISTINCT event_id)::int AS ids FROM pipeline.events',
    )
    expect(counted).toEqual({ rows: 3_001, ids: 3_001 })
    const partitions = await system.query(
      'SELECT DISTINCT tableoid::regclass::text AS name FROM pipeline.events ORDER BY 1',
    )
    expect(partitions.map(({ name }) => name)).toEqual([
      ...Array.from({ length: 7 }, (_, of) => `pipeline.events_2026100${of + 1}`),
      'pipeline.events_old',
    ])
    expect((await system.letters()).map(({ text }) => text)).toEqual([far, far, far])
  })
})
