import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from './server-support.js'

const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

/** Sets the wall clock of a process back by an hour, as soon as it is told to. */
const preload = `
  const real = Date.now
  let by = 0
  process.on('SIGUSR2', () => (by = -3_600_000))
  globalThis.Date = class extends Date {
    constructor(...given) {
      if (given.length === 0) super(real() + by)
      else super(...given)
    }
    static now() {
      return real() + by
    }
  }`

/** One flow for each kind of what waits for time to pass. */
const configuration = (feeds: string) => `
  import { aggregate, batch, consoleSink, count, defineConfig, eventTime, feed, flow, generate, http, map, mapAsync, memory, tumbling, view } from 'weirflow'
  const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: any) => ({ value: value as { at: number } }) } } as const
  const fed = (path: string) => feed({
    url: '${feeds}' + path, every: '300ms', items: (all: any) => all as { id: string }[], id: ({ id }) => id, time: () => 0,
  })
  const ticks = () => generate({ rate: 20, value: (_random, index) => index })
  export default defineConfig({
    app: 'clocks',
    checkpoints: memory(),
    flows: {
      windows: flow(
        http.post('/events', { body: Event }),
        eventTime(({ at }) => at, { idleAfter: '300ms', maxAhead: '2h', onError: 'skip' }),
        aggregate('counts', { window: tumbling('1s'), of: count(), by: 'all' }),
        consoleSink(),
      ),
      batches: flow(ticks(), batch({ size: 100_000, every: '300ms' }), map((all: any) => all.length), consoleSink()),
      epochs: flow(ticks(), aggregate('sums', { of: count(), by: 'all', emit: 'epoch' }), consoleSink()).with({ epoch: { every: '300ms' } }),
      answers: flow(ticks(), mapAsync((n: number) => (n % 20 === 0 ? new Promise(() => {}) : Promise.resolve(n)), { timeout: '300ms', onError: 'skip' }), consoleSink()),
      feeds: flow(fed('/new'), consoleSink()),
      refusals: flow(fed('/refused'), consoleSink()),
      views: flow(ticks(), aggregate('seen', { of: count(), by: 'all', emit: 'epoch' }), view({ path: '/seen', entries: ({ value }) => ({ table: 't', key: 'all', value }) })),
    },
  })`

test('a wall clock that is set back by an hour keeps nothing that runs from its time', {
  timeout: 300_000,
}, async () => {
  let asked = 0
  const feeds = createServer((request, response) => {
    if (request.url === '/refused' && ++asked % 2 === 1)
      return void response.writeHead(503, { 'retry-after': '1' }).end()
    response.end(JSON.stringify([{ id: String(asked) + String(Math.random()) }]))
  }).listen(0, '127.0.0.1')
  await once(feeds, 'listening')
  const cwd = mkdtempSync(join(tmpdir(), 'weir-clock-'))
  writeFileSync(join(cwd, 'clock.mjs'), preload)
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    configuration(`http://127.0.0.1:${(feeds.address() as AddressInfo).port}`),
  )
  const port = await freePort()
  const worker = spawn(
    process.execPath,
    ['--import', pathToFileURL(join(cwd, 'clock.mjs')).href, command, 'run', '--port', String(port)],
    { cwd, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let text = ''
  for (const output of [worker.stdout, worker.stderr]) output.on('data', (chunk: Buffer) => (text += chunk.toString()))
  onTestFinished(async () => {
    const ended = once(worker, 'close')
    if (worker.kill('SIGKILL')) await ended
    feeds.closeAllConnections()
    feeds.close()
    rmSync(cwd, { recursive: true })
  })
  const url = `http://127.0.0.1:${port}`
  const post = () => {
    const body = JSON.stringify({ at: Date.now() })
    return fetch(`${url}/events`, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  }
  const printed = () =>
    text
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => {
        const { flow, msg = '' } = line.startsWith('{') ? (JSON.parse(line) as { flow?: string; msg?: string }) : {}
        return flow !== undefined && /^[[{\d"]/.test(msg) ? [flow] : []
      })
  const shown = async () => ((await (await fetch(`${url}/seen`)).json()) as { t?: { all?: number } }).t?.all ?? 0

  const printing = ['windows', 'batches', 'epochs', 'answers', 'feeds', 'refusals']
  const goesOn = async () => {
    const before = { lines: printed().length, shown: await shown().catch(() => 0) }
    await expect
      .poll(
        async () => {
          // A window is told when another one has begun, or the partition is idle.
          expect((await post()).status).toBe(202)
          return printing.filter((flow) => !printed().slice(before.lines).includes(flow))
        },
        { timeout: 60_000, interval: 1_500 },
      )
      .toEqual([])
    await expect.poll(shown).toBeGreaterThan(before.shown)
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' })
  }
  await expect
    .poll(() =>
      fetch(`${url}/ready`).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200)
  await goesOn()
  worker.kill('SIGUSR2')
  await goesOn()
  const told = [...text.matchAll(/"time":("[^"]+"|\d+)/g)].map(([, time = '']) =>
    new Date(JSON.parse(time) as string).getTime(),
  )
  expect(Date.now() - (told.at(-1) ?? 0)).toBeGreaterThan(3_500_000)
})
