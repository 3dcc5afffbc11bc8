import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import {
  asyncScheduler,
  defer,
  EMPTY,
  firstValueFrom,
  NEVER,
  type Observable,
  of,
  Subject,
  type Subscription,
  take,
  throwError,
  VirtualTimeScheduler,
} from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine, type Flow } from '../../src/engine/index.js'
import { eventTime, flow, generate, http, map, type ViewEntry, view, WeirError } from '../../src/index.js'
import {
  type Clock,
  defineConnection,
  silentLogger,
  systemClock,
  type ViewClaim,
  type ViewStorage,
  type ViewWrite,
} from '../../src/model/index.js'
import { Recent } from '../../src/sinks/view/recent.js'
import { MemoryViews } from '../../src/state/index.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'
import { until } from '../support/job.js'

const Entry = z.object({
  table: z.string(),
  key: z.string(),
  value: z.json().optional(),
  expires: z.number().optional(),
  at: z.number().default(0),
})
type Entry = z.output<typeof Entry>

const entryOf = ({ table, key, value, expires }: Entry): ViewEntry => ({ table, key, value, expires })
const posted = (path = '/entries') => http.post(path, { body: Entry })

let server: WorkerHttpServer
let url: string
let engine: Engine
let running: Subscription
const ended: (() => void)[] = []

beforeEach(async () => {
  server = new WorkerHttpServer(silentLogger)
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  url = `http://127.0.0.1:${port}`
})
afterEach(async () => {
  for (const end of ended.splice(0)) end()
  running.unsubscribe()
  await engine.close()
  await server.close()
})

function start(flows: Readonly<Record<string, Flow>>): void {
  const brief = Object.entries(flows).map(([name, declared]) => {
    const { epoch = { every: 20 } } = declared.options
    return [name, declared.with({ epoch })] as const
  })
  const topology = compile({ app: 'test', flows: Object.fromEntries(brief) }, { environment: {} })
  engine = new Engine(topology, {
    clock: systemClock,
    log: silentLogger,
    http: server,
    production: false,
    dataDirectory: '.',
  })
  running = engine.run().subscribe()
}

/** Resolves when they are committed. */
async function post(entries: readonly z.input<typeof Entry>[], path = '/entries'): Promise<void> {
  const body = JSON.stringify(entries)
  const { status } = await fetch(url + path, { method: 'POST', body })
  if (status !== 202) throw new Error(`answered ${status}`)
}

const get = (path: string, headers: Readonly<Record<string, string>> = {}) => fetch(url + path, { headers })

/** What is answered once it is as new as it has to be: answers may be a quarter of a second old. */
async function shown(path: string): Promise<unknown> {
  await sleep(260)
  return (await get(path)).json()
}

const loaded = () => until(async () => (await get('/stats')).status === 200, 'the view is loaded')

/** Opens a stream; its events come as they are sent, with the time of each. */
function listen(path: string): { readonly events: { readonly at: number; readonly text: string }[]; isOver: boolean } {
  const heard: { events: { at: number; text: string }[]; isOver: boolean } = { events: [], isOver: false }
  const sent = request(url + path, (response) => {
    let waiting = ''
    response.setEncoding('utf8').on('data', (text: string) => {
      const events = (waiting + text).split('\n\n')
      waiting = events.pop() ?? ''
      heard.events.push(...events.map((event) => ({ at: performance.now(), text: event })))
    })
    response.on('close', () => {
      heard.isOver = true
    })
  })
  sent.on('error', () => undefined)
  sent.end()
  ended.push(() => sent.destroy())
  return heard
}

const dataOf = (text: string) => JSON.parse(text.slice(text.indexOf('data: ') + 6)) as unknown

const count = (table: string, key: string, value: number | undefined) => ({ table, key, value })

describe('a view', () => {
  test('is 503 with Retry-After until the flow has loaded it, and empty then', async () => {
    // It is loaded with the end of the first epoch.
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })).with({ epoch: { every: '4s' } }) })
    const early = await get('/stats')
    expect(early.status).toBe(503)
    expect(early.headers.get('retry-after')).toBe('1')
    await loaded()
    expect(await (await get('/stats')).json()).toEqual({})
  })

  test('shows what is committed, largest first, and names its time', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    const before = Date.now()
    await post([count('t', '12', 1), count('t', 'b', 3), count('u', 'a"\n', 2), count('t', '__proto__', 3)])
    await sleep(260)
    const response = await get('/stats')
    expect(await response.text()).toBe('{"t":{"__proto__":3,"b":3,"12":1},"u":{"a\\"\\n":2}}')
    const { headers } = response
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    const asOf = Date.parse(headers.get('weir-as-of') ?? '')
    expect(asOf).toBeGreaterThanOrEqual(before)
    expect(asOf).toBeLessThanOrEqual(Date.now())
    expect(Date.parse(headers.get('last-modified') ?? '')).toBe(Math.floor(asOf / 1_000) * 1_000)
    await post([count('t', 'b', 4), count('t', '12', undefined)])
    expect(await shown('/stats')).toEqual({ t: { b: 4, ['__proto__']: 3 }, u: { 'a"\n': 2 } })
  })

  test('answers 304 to who has it already', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    await post([count('t', 'a', 1)])
    await sleep(260)
    const etag = (await get('/stats')).headers.get('etag') ?? ''
    for (const tag of [etag, `"x", ${etag.slice(2)}`, '*']) {
      const again = await get('/stats', { 'if-none-match': tag })
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag])
    }
    await post([count('t', 'a', 2)])
    await sleep(260)
    const changed = await get('/stats', { 'if-none-match': etag })
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).not.toBe(etag)
  })

  test('is compressed where that is asked for and worth it', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    await post(Array.from({ length: 500 }, (_, index) => count('t', `key ${index}`, 1_000 - index)))
    await sleep(260)
    const raw = (path: string, coding: string) =>
      new Promise<{ coding: string | undefined; body: Buffer }>((resolve, reject) => {
        const sent = request(url + path, { headers: { 'accept-encoding': coding } }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () =>
            resolve({ coding: response.headers['content-encoding'], body: Buffer.concat(chunks) }),
          )
        })
        sent.on('error', reject)
        sent.end()
      })
    const plain = await raw('/stats', 'identity')
    expect(plain.coding).toBeUndefined()
    for (const coding of ['gzip', 'br, gzip;q=0.5', '*']) {
      const zipped = await raw('/stats', coding)
      expect(zipped.coding).toBe('gzip')
      expect(zipped.body.length).toBeLessThan(plain.body.length / 2)
      expect(gunzipSync(zipped.body)).toEqual(plain.body)
    }
    expect((await raw('/stats', 'gzip;q=0')).coding).toBeUndefined()
    expect((await raw('/stats?top=2', 'gzip')).coding).toBeUndefined()
  })

  test('takes the parameters that it declares, and `top`', async () => {
    const query = z.strictObject({ from: z.coerce.number().int().default(0).describe('the least that is shown') })
    const answer = (table: (name: string) => ReadonlyMap<string, number>, { from }: { from: number }) => ({
      counts: [...table('t')].map(([key, value]) => [key, value >= from ? value : undefined] as const),
      none: table('nothing'),
    })
    const entries = ({ table, key, value }: Entry) => ({ table, key, value: Number(value) })
    start({ flow: flow(posted(), view({ path: '/stats', entries, query, answer, name: 'counts' })) })
    await loaded()
    await post([count('t', 'a', 1), count('t', 'b', 2), count('t', 'c', 3)])
    expect(await shown('/stats')).toEqual({ counts: { c: 3, b: 2, a: 1 }, none: {} })
    expect(await shown('/stats?from=2')).toEqual({ counts: { c: 3, b: 2 }, none: {} })
    expect(await shown('/stats?from=2&top=1')).toEqual({ counts: { c: 3 }, none: {} })
    for (const [search, path] of [['from=x', 'from'], ['other=1', ''], ['top=-1', 'top'], ['top=', 'top']]) // biome-ignore format: pairs
      expect(await (await get(`/stats?${search}`)).json()).toMatchObject({ faults: [{ path }] })
    expect((await get('/stats?from=x')).status).toBe(400)
    expect((await get('/stats/stream?from=x')).status).toBe(400)
    expect(server.views()).toEqual([
      {
        path: '/stats',
        stream: '/stats/stream',
        flow: 'flow',
        stage: 'counts',
        storage: 'memory',
        parameters: { from: 'the least that is shown', top: expect.any(String) },
      },
    ])
  })

  test('goes on while the flow starts anew, with what was committed before', async () => {
    let isBroken = false
    const broken = map((value: Entry) => {
      if (isBroken) throw new WeirError('WEIR_SOURCE_UNREACHABLE', 'made')
      return value
    })
    start({ flow: flow(posted(), broken, view({ path: '/stats', entries: entryOf })) })
    await loaded()
    await post([count('t', 'a', 1), count('t', 'b', 1)])
    expect(await shown('/stats')).toEqual({ t: { a: 1, b: 1 } })
    isBroken = true
    await expect(post([count('t', 'a', 2)])).rejects.toThrow('answered 5')
    expect(await shown('/stats')).toEqual({ t: { a: 1, b: 1 } })
    isBroken = false
    await until(() => engine.status()[0]?.state === 'running', 'it runs again')
    await post([count('t', 'b', 2)])
    expect(await shown('/stats')).toEqual({ t: { a: 1, b: 2 } })
  })

  test('shows a value until the watermark reaches its end', async () => {
    const timed = eventTime(({ at }: Entry) => at, { idleAfter: '1h', onError: 'skip' })
    start({ flow: flow(posted(), timed, view({ path: '/stats', entries: entryOf })) })
    await loaded()
    const lasting = (key: string, value: number, at: number, expires: number) => ({
      table: 't',
      key,
      value,
      at,
      expires,
    })
    await post([lasting('a', 1, 10, 20), lasting('b', 1, 10, 20), lasting('c', 1, 10, 30)])
    expect(await shown('/stats')).toEqual({ t: { a: 1, b: 1, c: 1 } })
    await post([{ ...lasting('a', 2, 20, 40) }])
    expect(await shown('/stats')).toEqual({ t: { a: 2, c: 1 } })
    await post([{ ...count('u', 'x', 1), at: 30 }])
    expect(await shown('/stats')).toEqual({ t: { a: 2 }, u: { x: 1 } })
    await post([lasting('late', 1, 40, 35)])
    expect(await shown('/stats')).toEqual({ t: {}, u: { x: 1 } })
  })

  test('is made by several stages, and waits for each of them', async () => {
    const shape = {
      path: '/stats',
      answer: (table: (name: string) => ReadonlyMap<string, unknown>) => ({ t: table('t') }),
    }
    start({
      one: flow(posted('/one'), view({ ...shape, entries: entryOf })),
      two: flow(posted('/two'), view({ ...shape, entries: entryOf })),
    })
    await loaded()
    await post([count('t', 'a', 1)], '/one')
    await post([count('t', 'b', 2)], '/two')
    expect(await shown('/stats')).toEqual({ t: { a: 1, b: 2 } })
    expect(engine.status().map(({ state }) => state)).toEqual(['running', 'running'])
  })

  test('of a path that another view has fails its flow, and leaves the other alone', async () => {
    start({
      one: flow(posted('/one'), view({ path: '/stats', entries: entryOf })),
      two: flow(posted('/two'), view({ path: '/stats', entries: entryOf, answer: () => ({}) })),
    })
    await until(() => engine.status()[1]?.state === 'failed', 'the second flow fails')
    expect(engine.status()[1]?.error?.code).toBe('WEIR_HTTP_ROUTE_TAKEN')
    await until(() => engine.status()[0]?.state === 'running', 'the first one runs')
  })
})

describe('the stream of a view', () => {
  test('tells all of it, then what changes, at most four times a second', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    await post([count('t', 'a', 1), count('t', 'b', 1)])
    await sleep(260)
    const heard = listen('/stats/stream')
    await until(() => heard.events.length >= 2, 'the view is sent')
    expect(heard.events[0]?.text).toBe('retry: 1000')
    expect(heard.events[1]?.text).toMatch(/^event: view\nid: W\/".+"\ndata: \{/)
    expect(dataOf(heard.events[1]?.text ?? '')).toEqual({ t: { a: 1, b: 1 } })
    await post([count('t', 'a', 2), count('t', 'b', undefined), count('u', 'c', 1)])
    await until(() => heard.events.length >= 3, 'the change is sent')
    expect(heard.events[2]?.text).toMatch(/^event: changes\n/)
    expect(dataOf(heard.events[2]?.text ?? '')).toEqual({ t: { a: 2, b: null }, u: { c: 1 } })
    const began = performance.now()
    const before = heard.events.length
    for (let value = 3; value < 60; value++) {
      await post([count('t', 'a', value)])
      await sleep(20)
    }
    await until(() => JSON.stringify(heard.events.at(-1)).includes(':59'), 'the last change is sent')
    // On a slow machine they may come in a bunch, though never sooner than they were sent.
    const rounds = ((heard.events.at(-1)?.at as number) - began) / 250
    expect(heard.events.length - before).toBeLessThanOrEqual(rounds * 1.1 + 1)
  })

  test('sees the largest come and go', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    await post([count('t', 'a', 1), count('t', 'b', 2)])
    await sleep(260)
    const heard = listen('/stats/stream?top=1')
    await until(() => heard.events.length >= 2, 'the view is sent')
    await post([count('t', 'a', 3)])
    await until(() => heard.events.length >= 3, 'the change is sent')
    expect(heard.events.slice(1).map(({ text }) => dataOf(text))).toEqual([{ t: { b: 2 } }, { t: { a: 3, b: null } }])
  })

  test('ends with the flow', async () => {
    start({ flow: flow(posted(), view({ path: '/stats', entries: entryOf })) })
    await loaded()
    const heard = listen('/stats/stream')
    await until(() => heard.events.length >= 1, 'it is open')
    engine.stop()
    await until(() => heard.isOver, 'it ends')
    expect((await get('/stats')).status).toBe(503)
  })
})

describe('reading a storage', () => {
  const content = (tag: string) => ({ tag, at: 1, isWhole: true, tables: new Map() })
  /** Time passes as told, and the wall clock is set at random. */
  const clockAt = (passed: () => number): Clock => ({
    now: () => (Math.random() - 0.5) * 1e9,
    scheduler: { now: passed, schedule: asyncScheduler.schedule.bind(asyncScheduler) },
  })

  test('happens a few times a second, however many ask', () => {
    const reads: (string | undefined)[] = []
    const answers$ = new Subject<ReturnType<typeof content>>()
    const storage = {
      read: (_view: string, known?: string) => defer(() => (reads.push(known), answers$.pipe(take(1)))),
    }
    let now = 0
    const recent = new Recent(
      storage as never,
      'v',
      clockAt(() => now),
      silentLogger,
    )
    recent.opened()
    const told: (string | undefined)[] = []
    const ask = () => recent.get().subscribe((one) => told.push(one?.tag))
    for (let caller = 0; caller < 500; caller++) ask()
    answers$.next(content('a'))
    expect([reads, told.length, new Set(told)]).toEqual([[undefined], 500, new Set(['a'])])
    now = 249
    ask()
    expect([reads.length, told.length]).toEqual([1, 501])
    now = 250
    ask()
    ask()
    answers$.next(content('b'))
    expect([reads, told.slice(501)]).toEqual([
      [undefined, 'a'],
      ['b', 'b'],
    ])
  })

  test('takes a fifth of the time at most, with all that is made of it', async () => {
    let now = 0
    let reads = 0
    const read = () => defer(() => ((now += 100), of(content(`${reads++}`))))
    const recent = new Recent(
      { read } as never,
      'v',
      clockAt(() => now),
      silentLogger,
    )
    recent.opened()
    for (; now < 10_000; now += 10) {
      await firstValueFrom(recent.get())
      recent.use(() => (reads * 1_000 > now ? (now += 100) : undefined))
    }
    expect(reads).toBeGreaterThan(8)
    expect(reads).toBeLessThan(20)
  })

  test('that fails leaves what was read last', async () => {
    const results = [throwError(() => new Error('away')), of(content('a')), throwError(() => new Error('away')), EMPTY]
    let now = 0
    const storage = { read: () => results.shift() ?? EMPTY }
    const recent = new Recent(
      storage as never,
      'v',
      clockAt(() => now),
      silentLogger,
    )
    const tags: (string | undefined)[] = [(await firstValueFrom(recent.get()))?.tag]
    recent.opened()
    for (; now < 1_000; now += 250) tags.push((await firstValueFrom(recent.get()))?.tag)
    expect(tags).toEqual([undefined, undefined, 'a', 'a', 'a'])
  })
})

/** A storage that can go away, and lose what it has. */
class Shaky implements ViewStorage {
  private kept = new MemoryViews()
  private isAway = false

  away(isAway: boolean): void {
    this.isAway = isAway
  }

  lose(): void {
    this.kept = new MemoryViews()
  }

  rows(): unknown {
    let rows: unknown
    this.kept.read('test/stats').subscribe(({ tables }) => (rows = Object.fromEntries(tables.get('t') ?? [])))
    return rows
  }

  open = () => EMPTY
  claim = (claim: ViewClaim) => this.unlessAway(() => this.kept.claim(claim))
  write = (write: ViewWrite) => this.unlessAway(() => this.kept.write(write))
  read = (view: string, known?: string) => this.unlessAway(() => this.kept.read(view, known))

  private unlessAway<T>(work: () => Observable<T>): Observable<T> {
    return defer(() => (this.isAway ? throwError(() => new Error('away')) : work()))
  }
}

test('a storage that goes away, or loses what it had, has all of it again, and the flow goes on', () => {
  const storage = new Shaky()
  const shaky = defineConnection({
    kind: 'shaky',
    summary: 'Keeps views badly.',
    options: z.strictObject({}),
    open: () => ({ address: 'here', close: () => Promise.resolve() }),
    views: () => storage,
  })
  const numbers = generate({ rate: 10, count: 100, value: (_random, index) => index })
  const entries = (value: number) => ({ table: 't', key: `${value % 7}`, value })
  const declared = flow(numbers, view({ path: '/stats', entries, storage: 'shaky' })).with({ epoch: { every: 100 } })
  const topology = compile(
    { app: 'test', connections: { shaky: shaky({}) }, flows: { flow: declared } },
    { environment: {} },
  )
  const scheduler = new VirtualTimeScheduler()
  engine = new Engine(topology, {
    clock: { now: () => scheduler.now(), scheduler },
    log: silentLogger,
    http: { serve: () => NEVER },
    production: false,
    dataDirectory: '.',
  })
  running = engine.run().subscribe()
  const seen: unknown[] = []
  const look = () => void seen.push(storage.rows())
  scheduler.schedule(() => storage.away(true), 2_000)
  scheduler.schedule(() => storage.away(false), 6_000)
  scheduler.schedule(look, 5_900)
  scheduler.schedule(look, 15_000)
  scheduler.schedule(() => storage.lose(), 15_000)
  scheduler.schedule(look, 15_001)
  scheduler.schedule(look, 21_000)
  scheduler.schedule(() => engine.stop(), 21_001)
  scheduler.flush()
  const last = Object.fromEntries(Array.from({ length: 7 }, (_, key) => [key, key < 2 ? 98 + key : 91 + key]))
  expect(Object.values(seen[0] as object).every((value) => Number(value) <= 20)).toBe(true)
  expect(seen.slice(1)).toEqual([last, {}, last])
  expect(engine.status()[0]).toMatchObject({ state: 'stopped', failures: 0 })
})
