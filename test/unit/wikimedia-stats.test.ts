import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine } from '../../src/engine/index.js'
import { wikimediaStats } from '../../src/flows/wikimedia-stats.js'
import { http } from '../../src/index.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { withStandIns } from '../../src/testing/stand-ins.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'
import { until } from '../support/job.js'
import { countOf, type Shown } from '../support/wikimedia-truth.js'

const capture = new URL('../../../shared/data/wikimedia/recentchange-2026-05-05.ndjson.gz', import.meta.url)

const made = [
  { meta: { domain: 'en.wikipedia.org', dt: '2026-05-05T11:00:00Z' }, user: 'Ann', bot: false },
  { meta: { domain: 'en.wikipedia.org', dt: '2026-05-05T11:59:00Z' }, user: '12', bot: true },
  { meta: { domain: 'de.wikipedia.org', dt: '2026-05-05T11:59:30Z' }, user: 'Ann' },
  { meta: { domain: 'de.wikipedia.org', dt: '2026-05-05T12:00:03Z' }, user: '__proto__', bot: false },
].map((event) => JSON.stringify(event))

/** The flow with events that are posted in place of a topic, and what it shows once all of them are in. */
async function serve(lines: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const server = new WorkerHttpServer(silentLogger)
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${port}`
  const posted = http.post('/changes', { body: z.string() })
  const flow = withStandIns(wikimediaStats, { source: () => posted, sink: (sink) => sink }, { epoch: { every: 100 } })
  const stages = flow.stages.map((stage) => {
    const { definition, options } = stage
    return { ...stage, definition, options: { ...(options as object), onError: 'skip' } }
  })
  const patched = Object.assign(Object.create(Object.getPrototypeOf(flow) as object) as typeof flow, flow, { stages })
  const engine = new Engine(compile({ app: 'test', flows: { stats: patched } }, { environment }), {
    clock: systemClock,
    log: silentLogger,
    http: server,
    production: false,
    dataDirectory: '.',
  })
  engine.run().subscribe()
  for (let from = 0; from < lines.length; from += 500) {
    const body = JSON.stringify(lines.slice(from, from + 500))
    await until(async () => (await fetch(`${url}/changes`, { method: 'POST', body })).status === 202, 'they are taken')
  }
  await until(async () => (await fetch(`${url}/stats`)).status === 200, 'the view is loaded')
  await sleep(300)
  return {
    url,
    async stats(search = ''): Promise<Shown> {
      const response = await fetch(`${url}/stats${search}`)
      expect(response.status).toBe(200)
      return (await response.json()) as Shown
    },
    async close() {
      engine.stop()
      await engine.close()
      await server.close()
    },
  }
}

describe.each([
  ['some changes', () => made, false],
  ['a recorded minute', () => gunzipSync(readFileSync(capture)).toString().trim().split('\n'), !existsSync(capture)],
] as const)('GET /stats of %s', (_name, linesOf, isMissing) => {
  let lines: readonly string[]
  let served: Awaited<ReturnType<typeof serve>>

  beforeAll(async () => {
    if (isMissing) return
    lines = linesOf()
    served = await serve(lines)
  })
  afterAll(() => served?.close())

  const stats = (search?: string) => served.stats(search)
  test.skipIf(isMissing)('is what counting the events one by one gives', async () => {
    expect(await stats()).toEqual(countOf(lines))
    expect(await stats('?bots=0')).toEqual(countOf(lines, { takes: ({ bot }) => bot !== true }))
    const [domain = ''] = Object.keys(countOf(lines).by_domain)
    const ofDomain = countOf(lines, { takes: ({ meta }) => meta.domain === domain })
    expect(await stats(`?domain=${domain}`)).toEqual(ofDomain)
    expect(await stats('?domain=nowhere')).toEqual({ by_domain: {}, by_user: {} })
  })

  test.skipIf(isMissing)('top keeps the largest, in order', async () => {
    const { by_domain, by_user } = await stats('?top=3')
    const largest = (counts: Readonly<Record<string, number>>) =>
      Object.values(counts)
        .sort((a, b) => b - a)
        .slice(0, 3)
    const all = countOf(lines)
    expect([Object.values(by_domain).sort((a, b) => b - a), Object.values(by_user).sort((a, b) => b - a)]).toEqual([
      largest(all.by_domain),
      largest(all.by_user),
    ])
  })

  test.skipIf(isMissing)('since shows the last window that has closed', async () => {
    const times = lines.map((line) => Date.parse((JSON.parse(line) as { meta: { dt: string } }).meta.dt))
    const closed = (advance: number) => Math.floor((Math.max(...times) - 2_000) / advance) * advance
    const inWindow = (size: number, advance: number) =>
      countOf(lines, { takes: ({ meta: { dt } }) => {
        const time = Date.parse(dt)
        return time >= closed(advance) - size && time < closed(advance)
      } }) // biome-ignore format: one condition
    const minute = inWindow(60_000, 10_000)
    expect(await stats('?since=1m')).toEqual(minute)
    expect(await stats('?since=1h')).toEqual(inWindow(3_600_000, 60_000))
    const reaching = new Date(closed(10_000) - 60_000)
    expect(await stats(`?since=${reaching.toISOString()}`)).toEqual(minute)
    expect(await stats(`?since=${reaching.getTime()}`)).toEqual(minute)
    expect(await stats('?since=2001-01-01T00:00:00Z')).toEqual(countOf(lines))
    expect((await fetch(`${served.url}/stats?since=2m`)).status).toBe(400)
  })
})

test('who had no change for longest is shown no longer when STATS_MAX_KEYS is reached', async () => {
  const change = (user: string) => JSON.stringify({ meta: { domain: 'en.wikipedia.org' }, user })
  // A site, its users, and both together: five keys, of which the oldest goes.
  const { stats, close } = await serve(['Ann', 'Bob'].map(change), { STATS_MAX_KEYS: '4' })
  onTestFinished(close)
  expect(await stats()).toEqual({ by_domain: { 'en.wikipedia.org': 2 }, by_user: { Bob: 1 } })
  expect((await stats('?domain=en.wikipedia.org')).by_user).toEqual({ Ann: 1, Bob: 1 })
})
