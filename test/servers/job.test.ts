import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Job, until } from '../support/job.js'
import { because, describeJob } from '../support/job-servers.js'
import { Account, madeEvent, type PostedEvent, random, Traffic } from '../support/job-traffic.js'
import {
  eventOf,
  header,
  lateInTheirPartition,
  lateOnes,
  letterPlace,
  placeOf,
  readTopic,
  settle,
  writeTopic,
} from '../support/job-truth.js'

const clicks = fileURLToPath(
  new URL('../../../shared/data/clickstream/nasa-http-1995-08-01.cut500.tsv', import.meta.url),
)
const noClicks = existsSync(clicks) ? undefined : 'the recorded click stream is not here'

describeJob('the activity job', (servers) => {
  test('counts what was posted: out of order, late, in any zone, beside poison; the rest is dead letters', async () => {
    const job = await Job.create(servers, { FLUSH_INTERVAL_SEC: '2', IDLE_AFTER_SEC: '4', ALLOWED_LATENESS_SEC: '1' })
    const worker = await job.started()
    const account = new Account(worker.url)
    for (const request of requestsOf(recorded(3_000))) expect(await account.post(request)).toBe(202)
    await writeTopic(servers.kafka.bootstrap, job.topic, poison)
    const { messages, deadLetters, expected } = await settle(job, account)

    expect(messages).toHaveLength(account.count('acknowledged') + poison.length)
    const late = deadLetters.filter((letter) => header(letter, 'weir.error.code') === 'WEIR_RECORD_LATE')
    expect(late.map(letterPlace).sort()).toEqual(lateInTheirPartition(job, messages).sort())
    expect(late.length).toBeGreaterThan(20)
    expect(expected.length).toBeGreaterThan(25)
    const views = (of: readonly (PostedEvent | undefined)[]) =>
      of.filter((event) => event?.activity_type === 'page_view').length
    expect(expected.reduce((sum, row) => sum + row.views, 0) + views(late.map(eventOf))).toBe(
      views(messages.map(eventOf)),
    )

    const bad = deadLetters.filter((letter) => !lateOnes(deadLetters).has(letterPlace(letter)))
    expect(bad.map(bytesOf).sort(byText)).toEqual(
      messages
        .filter((message) => eventOf(message) === undefined)
        .map(bytesOf)
        .sort(byText),
    )
    const originals = new Map(messages.map((message) => [placeOf(message), message]))
    for (const letter of deadLetters) expect(bytesOf(letter)).toEqual(bytesOf(originals.get(letterPlace(letter))!))
    expect(header(bad[0]!, 'weir.flow')).toBe('activity-metrics')
    expect(header(bad[0]!, 'weir.stage')).toBe('json')
    expect(header(bad[0]!, 'weir.attempts')).toBe('1')
    expect(header(bad[0]!, '__connect.errors.topic')).toBe(job.topic)

    await expect.poll(() => worker.metric('weir_lag_records', { partition: '0' })).toBe(0)
    expect(await worker.metric('weir_records_rejected_total', { stage: 'json', code: 'WEIR_RECORD_MALFORMED' })).toBe(3)
    expect(await worker.metric('weir_records_rejected_total', { code: 'WEIR_RECORD_INVALID' })).toBe(1)
    expect(await worker.metric('weir_records_rejected_total', { code: 'WEIR_RECORD_LATE' })).toBe(late.length)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
    const [fresh] = await job.query<{ ids: number; dated: number }>(
      'SELECT count(DISTINCT id)::int AS ids, count(created_at)::int AS dated FROM user_activity_metrics',
    )
    expect(fresh).toEqual({ ids: expected.length, dated: expected.length })
  })

  test('answers bad requests with what is wrong, takes nothing of them, and tells of itself', async () => {
    const job = await Job.create(servers)
    const worker = await job.started()
    const next = random(2)
    const event = () => madeEvent(next, Date.now())

    const bad = await worker.post({ user_id: 5, timestamp: 'yesterday', metadata: 'x' })
    expect(bad.status).toBe(400)
    expect(bad.body.faults?.map(({ path }) => path).sort()).toEqual([
      'activity_type',
      'metadata',
      'timestamp',
      'user_id',
    ])
    const some = await worker.post([
      event(),
      { ...event(), user_id: undefined },
      event(),
      { ...event(), timestamp: '2024-02-31T00:00:00Z' },
    ])
    expect(some.status).toBe(400)
    expect(some.body.faults?.map(({ index, path }) => [index, path])).toEqual([
      [1, 'user_id'],
      [3, 'timestamp'],
    ])
    expect((await worker.post('{"user_id": ')).status).toBe(400)
    expect((await worker.post(Array.from({ length: 1_001 }, event))).status).toBe(400)
    expect((await worker.post({ ...event(), padding: 'x'.repeat(1_048_576) })).status).toBe(413)
    expect((await worker.post([])).status).toBe(202)
    expect((await worker.post(Array.from({ length: 1_000 }, event))).status).toBe(202)
    const named = await worker.post(event(), { 'x-correlation-id': 'the-one' })
    expect(named.status).toBe(202)
    const { messages } = await settle(job)
    expect(messages).toHaveLength(1_001)
    expect(messages.map((message) => header(message, 'weir.correlation-id'))).toContain('the-one')

    expect(JSON.parse((await worker.get('/health')).text)).toMatchObject({ status: 'ok', reasons: [] })
    expect(JSON.parse((await worker.get('/version')).text)).toMatchObject({ name: 'weirflow', app: job.name })
    expect((await worker.get('/nowhere')).status).toBe(404)
    expect(await worker.metric('weir_records_in_total', { flow: 'activity-metrics', stage: 'json' })).toBe(1_001)
    expect(await worker.metric('weir_records_out_total', { flow: 'activity-ingest', stage: 'kafka.sink' })).toBe(1_001)
    const seconds = await worker.metric('weir_stream_time_seconds', { partition: '0' })
    expect(Math.abs((seconds ?? 0) * 1_000 - Date.now())).toBeLessThan(300_000)
    expect(await worker.stop()).toBe(0)
  })

  test.skipIf(noClicks !== undefined)(`counts a recorded click stream${because(noClicks)}`, async () => {
    const job = await Job.create(servers, { FLUSH_INTERVAL_SEC: '10' })
    const worker = await job.started()
    const events = clickEvents()
    const account = new Account(worker.url)
    for (let from = 0; from < events.length; from += 100)
      expect(await account.post(events.slice(from, from + 100))).toBe(202)
    // One partition ends 68 s of event time before the others, and moves on at the pace at which time passes.
    const { deadLetters } = await settle(job, account, 150_000)
    expect(deadLetters).toEqual([])
    const starts = events.map(({ timestamp }) => Math.floor(Date.parse(timestamp) / 10_000) * 10_000)
    const expected = [...new Set(starts)].map((start) => {
      const each = events.filter((_, index) => starts[index] === start)
      const views = each.filter(({ activity_type }) => activity_type === 'page_view').length
      return { start, users: new Set(each.map(({ user_id }) => user_id)).size, views }
    })
    expect(await job.rows()).toEqual(expected.sort((one, other) => one.start - other.start))
    expect(await worker.stop()).toBe(0)
  })

  test('a flow that can never work stops and says why, and the other goes on', async () => {
    const job = await Job.create(servers)
    await job.query(
      'CREATE MATERIALIZED VIEW user_activity_metrics AS SELECT now()::timestamp AS timestamp, 1 AS page_view_count, 1 AS unique_users',
    )
    const worker = await job.worker()
    worker.start()
    await until(async () => (await worker.get('/health')).status === 200, 'it listens')
    const account = new Account(worker.url)
    const next = random(4)
    await until(async () => (await account.post([madeEvent(next, Date.now())])) === 202, 'the first event is taken')
    await until(async () => (await worker.get('/health')).status === 503, 'the flow has failed')
    const { reasons } = JSON.parse((await worker.get('/health')).text)
    expect(reasons).toMatchObject([{ flow: 'activity-metrics', state: 'failed' }])
    expect(reasons[0].reason).toMatch(/cannot change materialized view/)
    expect((await worker.get('/ready')).status).toBe(503)
    expect(await account.post([madeEvent(next, Date.now())])).toBe(202)
    const found = await readTopic(servers.kafka.bootstrap, job.topic)
    expect(account.contradictions(found.map((message) => eventOf(message)!.metadata.event))).toEqual([])
    expect(await worker.metric('weir_flow_state', { flow: 'activity-metrics', state: 'failed' })).toBe(1)
    expect(await worker.stop()).toBe(0)
  })

  test('workers share the load, take over from each other, and each window is one exact row', async () => {
    const job = await Job.create(servers)
    const first = await job.started()
    const traffic = new Traffic(first.url, { seed: 5 })
    const second = await job.started()
    const third = await job.started()
    const reads = async (worker: typeof first) =>
      (await worker.metric('weir_records_out_total', { stage: 'kafka.source' })) ?? 0
    await until(async () => (await reads(second)) > 0 || (await reads(third)) > 0, 'the others read too')
    await second.kill()
    await sleep(2_000)
    second.start()
    await second.ready()
    expect(await first.stop()).toBe(0)
    first.start()
    await first.ready()
    const { expected } = await settle(job, await traffic.stop())
    expect(expected.length).toBeGreaterThan(4)
    expect(await Promise.all([first.stop(), second.stop(), third.stop()])).toEqual([0, 0, 0])
    expect(await job.rows()).toEqual(expected)
  })
})

/** Events of a minute long ago: mostly in order, by up to 0.9 s not, and one in forty late; in several notations. */
function recorded(count: number): PostedEvent[] {
  const next = random(1)
  const start = Date.parse('2024-05-17T23:59:30Z')
  return Array.from({ length: count }, (_, index) => {
    const isLate = index > 200 && next() < 1 / 40
    const behind = isLate ? 4_000 + next() * 6_000 : next() * 900
    const time = Math.floor(start + (index * 60_000) / count - behind)
    return { ...madeEvent(next, time), timestamp: notation(time, next()) }
  })
}

function notation(time: number, choice: number): string {
  const utc = new Date(time).toISOString()
  if (choice < 0.8) return utc
  if (choice < 0.9) return utc.slice(0, -1)
  return `${new Date(time + 5.5 * 3_600_000).toISOString().slice(0, -1)}+05:30`
}

function* requestsOf(events: readonly PostedEvent[]): Generator<readonly PostedEvent[]> {
  const next = random(3)
  for (let from = 0; from < events.length; ) {
    const count = next() < 0.3 ? 1 : 1 + Math.floor(next() * 100)
    yield events.slice(from, from + count)
    from += count
  }
}

const poison = [
  {
    key: Buffer.from([0xff, 0x00, 0xfe]),
    value: Buffer.from([0x80, 0x00, 0xff, 0xfe]),
    timestamp: Date.now() - 123_456,
  },
  { value: '{"user_id": "ann", ', headers: [{ note: Buffer.from([0, 1, 255]) }, { note: 'twice' }] },
  { key: 'ann', value: '', headers: [{ empty: '' }] },
  { key: null, value: '{"user_id":"ann","timestamp":"2024-05-17T23:59:31Z"}' },
]

/** All that a dead letter has to keep, without the headers that it adds. */
function bytesOf({
  key,
  value,
  timestamp,
  headers = [],
}: {
  key?: unknown
  value: unknown
  timestamp?: number
  headers?: object[]
}) {
  const hex = (bytes: unknown) =>
    bytes === null || bytes === undefined ? null : Buffer.from(bytes as Buffer).toString('hex')
  const own = headers
    .flatMap((each) => Object.entries(each))
    .filter(([name]) => !/^(__connect\.errors|weir\.(flow|stage|attempts|error))/.test(name))
  return { key: hex(key), value: hex(value), timestamp, headers: own.map(([name, content]) => [name, hex(content)]) }
}

function byText(one: object, other: object): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1
}

function clickEvents(): PostedEvent[] {
  const [, ...lines] = readFileSync(clicks, 'latin1').trimEnd().split('\n')
  return lines.map((line, index) => {
    const [host = '', , time, method = '', url = ''] = line.split('\t')
    const activity_type = method === 'GET' ? 'page_view' : method.toLowerCase()
    const timestamp = new Date(Number(time) * 1_000).toISOString()
    return { user_id: host, activity_type, timestamp, metadata: { page_url: url, event: `click-${index}` } }
  })
}
