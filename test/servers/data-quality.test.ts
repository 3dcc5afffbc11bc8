import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { until, Worker } from '../support/job.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { freePort } from './server-support.js'

const missing = missingPostgres()
const checksOfARun = 6

const events = `
  CREATE SCHEMA IF NOT EXISTS pipeline;
  CREATE TABLE pipeline.events (event_id text, event_type text, user_id text, occurred_at timestamptz DEFAULT now(),
    payload jsonb DEFAULT '{}', created_at timestamptz DEFAULT now())`

/** Notes each row that is written, also where it takes the place of another. */
const noted = `
  CREATE TABLE pipeline.noted (run_at timestamptz, check_name text, status text);
  CREATE FUNCTION pipeline.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO pipeline.noted VALUES (new.run_at, new.check_name, new.status); RETURN new; END $$;
  CREATE TRIGGER note AFTER INSERT OR UPDATE ON pipeline.quality_results FOR EACH ROW EXECUTE FUNCTION pipeline.note()`

describe.skipIf(missing !== undefined)('the checks of the pipeline', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
    await server.query(events)
    await server.query("INSERT INTO pipeline.events VALUES ('a', 'page_view', 'ann'), ('b', 'purchase', 'bob')")
  })
  afterAll(() => server.close())

  async function worker(): Promise<Worker> {
    const environment = { DATABASE_URL: server.url, QUALITY_CRON: '* * * * * *', SERVER_PORT: String(await freePort()) }
    const started = new Worker(environment, ['data-quality'])
    onTestFinished(() => started.kill())
    started.start()
    await started.ready()
    return started
  }

  const rows = <R>(text: string) =>
    server.query(text).then(
      (found) => found as R[],
      () => [],
    )
  const count = async (text: string) => (await rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${text}`))[0]?.n ?? 0
  const isNow = (check: string, status: string) =>
    until(
      async () =>
        (await count(
          `(SELECT * FROM pipeline.quality_results WHERE check_name = '${check}' ORDER BY run_at DESC LIMIT 1) r WHERE status = '${status}'`,
        )) === 1,
      `'${check}' ${status}`,
    )

  test('make each run once, whatever becomes of the worker and the database', async () => {
    // However long it takes, they are new.
    await server.query("UPDATE pipeline.events SET created_at = now() + interval '1 hour'")
    const running = await worker()
    await until(async () => (await count('pipeline.quality_results')) >= checksOfARun, 'a run is over')
    await server.query(noted)
    const runs = () => count('(SELECT DISTINCT run_at FROM pipeline.noted) r')
    const goesOn = async () => {
      const before = await runs()
      await until(async () => (await runs()) > before + 1, 'it goes on')
    }

    for (const ms of [0, 2_300]) {
      await running.kill()
      await sleep(ms)
      running.start()
      await goesOn()
    }
    await server.kill()
    await server.start()
    await goesOn()
    expect(await running.stop()).toBe(0)

    const each = await rows<{ run_at: Date; written: number; checks: number }>(
      `SELECT run_at, count(*)::int AS written, count(DISTINCT check_name)::int AS checks
       FROM pipeline.noted GROUP BY run_at ORDER BY run_at`,
    )
    // The first may have been under way when they began to be noted.
    expect(each.slice(1).map(({ written, checks }) => [written, checks])).toEqual(
      each.slice(1).map(() => [checksOfARun, checksOfARun]),
    )
    for (const { run_at: time } of each) expect(time.getTime() % 1_000).toBe(0)
    expect(await count("pipeline.noted WHERE status = 'failed'")).toBe(0)
    await server.query('DROP TABLE pipeline.noted CASCADE; DROP FUNCTION pipeline.note CASCADE')
  })

  test('find what is wrong, tell it once, and again when it is right', async () => {
    await server.query('DROP TABLE IF EXISTS pipeline.quality_results, pipeline.quality_incidents')
    const running = await worker()
    await isNow('there are events', 'passed')
    expect(await count('pipeline.quality_incidents')).toBe(0)
    await server.query("INSERT INTO pipeline.events VALUES ('a', 'page_view', 'ann'), ('c', 'user_vanished', null)")
    await server.query(
      "INSERT INTO pipeline.events VALUES ('d', 'purchase', 'bob', now() + interval '1 hour', '{\"amount\": 0}')",
    )
    await server.query("UPDATE pipeline.events SET created_at = now() - interval '2 minutes'")
    for (const check of [
      'each id once',
      'events have users',
      'types are known',
      'purchases have prices',
      'events are new',
    ])
      await isNow(check, 'failed')
    const told = () =>
      rows<{ check_name: string; state: string; severity: string; message: string }>(
        'SELECT check_name, state, severity, message FROM pipeline.quality_incidents ORDER BY check_name',
      )
    const states = async () => (await told()).map(({ check_name, state, severity }) => [check_name, state, severity])
    await expect.poll(states).toEqual([
      ['each id once', 'open', 'error'],
      ['events are new', 'open', 'warn'],
      ['events have users', 'open', 'error'],
      ['purchases have prices', 'open', 'error'],
      ['types are known', 'open', 'error'],
    ])
    expect((await told())[0]?.message).toBe(
      '1 rows of pipeline.events whose event_id is there already: at most 0 may be',
    )
    await expect.poll(() => running.metric('weir_incidents_open', { flow: 'data-quality' })).toBe(5)
    await expect.poll(() => running.metric('weir_checks_passed', { flow: 'data-quality' })).toBe(1)

    // An incident outlives the process that opened it.
    await running.kill()
    running.start()
    await server.query(
      "DELETE FROM pipeline.events WHERE event_id IN ('c', 'd') OR ctid NOT IN (SELECT min(ctid) FROM pipeline.events GROUP BY event_id)",
    )
    await server.query("UPDATE pipeline.events SET created_at = now() + interval '1 hour'")
    await until(async () => (await told()).every(({ state }) => state === 'resolved'), 'all are resolved')
    expect(await told()).toHaveLength(5)

    await server.query('ALTER TABLE pipeline.events RENAME TO others')
    await isNow('each id once', 'errored')
    // Some may have been made in the same run before.
    const isOpen = async () => (await told()).filter(({ state }) => state === 'open').length === checksOfARun
    await until(isOpen, 'all are open')
    expect((await told()).map(({ message }) => message)).toContainEqual(
      expect.stringContaining('relation "pipeline.events" does not exist'),
    )
    await server.query('ALTER TABLE pipeline.others RENAME TO events')
    await isNow('each id once', 'passed')
    await until(async () => (await told()).every(({ state }) => state === 'resolved'), 'all are resolved')
    expect(await running.stop()).toBe(0)
  })
})
