import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import {
  concat,
  firstValueFrom,
  NEVER,
  type Observable,
  of,
  Subject,
  skip,
  take,
  takeUntil,
  timer,
  toArray,
} from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Epoch,
  messageOf,
  type SourceContext,
  type SourceTask,
  type StreamRecord,
  silentLogger,
  systemClock,
} from '../../src/model/index.js'
import { feedDefinition } from '../../src/sources/feed.js'
import { TaskStores } from '../../src/state/index.js'

interface Item {
  readonly id: string
  readonly at: number
  readonly nothing?: { readonly there: never }
}

/** A document that changes, and what its server does when it is asked. */
class Feed {
  readonly asked: { readonly at: number; readonly headers: IncomingHttpHeaders }[] = []
  private readonly asked$ = new Subject<void>()
  items: Item[] = []
  /** Answers in place of the document. */
  answer: ((response: ServerResponse) => void) | undefined
  private readonly server = createServer(({ headers }, response) => {
    this.asked.push({ at: Date.now(), headers })
    this.asked$.next()
    if (this.answer !== undefined) return this.answer(response)
    const etag = `"${this.items.map(({ id }) => id).join()}"`
    if (headers['if-none-match'] === etag) return response.writeHead(304).end()
    response.writeHead(200, { etag }).end(JSON.stringify({ items: this.items }))
  })

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`
  }

  /** When it is asked so many times from now on. */
  hasBeenAsked(times = 1): Observable<unknown> {
    return this.asked$.pipe(skip(times - 1))
  }

  /** What it says by now has been answered, and the answer taken. */
  get hasTold$(): Observable<unknown> {
    return this.hasBeenAsked(3)
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

let server: Feed
beforeEach(async () => {
  server = new Feed()
  await server.start()
})
afterEach(() => server.stop())

const rejected: [unknown, string][] = []
beforeEach(() => void rejected.splice(0))

const partition = { topic: 'feed:quakes', partition: 0 }

test('a login in the address goes as a header, for no request takes it in its address', async () => {
  server.items = [{ id: 'a1', at: 1 }]
  const task = open({ url: server.url.replace('//', '//ann:s@cr et%C3%A9@') })
  expect(await ids(task, 1, server.hasTold$)).toEqual(['a1'])
  expect(server.asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ann:s@cr et\u00e9').toString('base64')}`)
})

/** A task of a process that has just begun. */
function open(options: object = {}, stores = new TaskStores()): SourceTask {
  const store: SourceContext['store'] = (name, codec) => stores.declare(name, codec)
  const reject = (record: StreamRecord, error: unknown) => void rejected.push([record.value, messageOf(error)])
  const context = { stage: 'quakes', clock: systemClock, log: silentLogger, store, reject } as unknown as SourceContext
  const given = {
    url: server.url,
    items: (document: unknown) => (document as { items: Item[] }).items,
    id: ({ id }: Item) => id,
    time: ({ at }: Item) => at,
    key: ({ id }: Item) => id[0],
    every: 40,
    ...options,
  }
  const task = feedDefinition.build(feedDefinition.options.parse(given), context)
  stores.assign({ ...partition, generation: 1, sequence: 0, progress: undefined })
  return task
}

function epoch(records: number, cut$: Observable<unknown> = NEVER): Epoch {
  let left = records
  return { number: 1, room: () => left, take: (taken) => void (left -= taken), cut$ }
}

/** The ids of so many items, or of what comes before the epoch is cut. */
async function ids(task: SourceTask, count: number, cut$: Observable<unknown> = NEVER): Promise<string[]> {
  const records = await firstValueFrom(task.read(epoch(count, cut$)).pipe(take(count), toArray()))
  return records.map(({ value }) => (value as Item).id)
}

const [a, b, c, d] = ['a1', 'b2', 'a3', 'd4'].map((id, at) => ({ id, at })) as [Item, Item, Item, Item]

test('emits what is new, oldest first, once', async () => {
  server.items = [c, a, b, a]
  const task = open()
  const [first] = await firstValueFrom(task.read(epoch(3)).pipe(take(3), toArray()))
  expect(first).toMatchObject({ key: 'a', value: a, origin: { ...partition, offset: 0 } })
  server.items = [d, c, a, b]
  expect(await ids(task, 1)).toEqual(['d4'])
  expect(task.positions()).toEqual([{ ...partition, offset: 4 }])
})

test('asks with the ETag of what it has, and no more often than it may', async () => {
  server.items = [a]
  const task = open({ every: 60 })
  expect(await ids(task, 5, server.hasBeenAsked(12))).toEqual(['a1'])
  // Half of it, as a question may be long on its way.
  const [, begun = 0, ...others] = server.asked.map(({ at }) => at)
  expect((others.at(-1) ?? 0) - begun).toBeGreaterThan((10 * 60) / 2)
  const [first, ...later] = server.asked.map(({ headers }) => headers['if-none-match'])
  expect(first).toBeUndefined()
  expect(later).toHaveLength(11)
  expect(new Set(later)).toEqual(new Set(['"a1"']))
})

test('waits as long as Retry-After says, and goes on', async () => {
  server.items = [a]
  server.answer = (response) => {
    server.answer = undefined
    response.writeHead(429, { 'retry-after': '1' }).end()
  }
  expect(await ids(open(), 1)).toEqual(['a1'])
  expect(server.asked[1]!.at - server.asked[0]!.at).toBeGreaterThanOrEqual(950)
})

test.each([
  ['a status of 500', (response: ServerResponse) => response.writeHead(500).end('no')],
  ['a broken connection', (response: ServerResponse) => response.destroy()],
  ['no JSON', (response: ServerResponse) => response.writeHead(200, { etag: '"x"' }).end('{"items":')],
  ['another document', (response: ServerResponse) => response.writeHead(200).end('{}')],
])('%s is asked again in its turn', async (_what, answer) => {
  server.items = [a]
  server.answer = (response) => {
    server.answer = undefined
    answer(response)
  }
  expect(await ids(open(), 1)).toEqual(['a1'])
})

test('an answer that takes longer than an epoch is not lost', async () => {
  server.items = [a]
  const late = new Subject<ServerResponse>()
  server.answer = (response) => late.next(response)
  const task = open()
  const answering = firstValueFrom(late)
  expect(await ids(task, 1, timer(30))).toEqual([])
  ;(await answering).writeHead(200).end(JSON.stringify({ items: [a] }))
  expect(await ids(task, 1)).toEqual(['a1'])
  expect(server.asked).toHaveLength(1)
})

test('an epoch that failed is replayed from memory, one that was committed is forgotten', async () => {
  server.items = [a, b, c]
  const task = open()
  const completed = (work: Observable<never>) => firstValueFrom(work, { defaultValue: undefined })
  expect(await ids(task, 2)).toEqual(['a1', 'b2'])
  await completed(task.commit([{ ...partition, offset: 1 }]))
  await completed(task.rewind([{ ...partition, offset: 1 }], undefined))
  server.items = []
  expect(await ids(task, 2)).toEqual(['b2', 'a3'])
  await completed(task.commit([{ ...partition, offset: 3 }]))
  expect(await firstValueFrom(task.ends())).toEqual([{ ...partition, offset: 3, end: 3 }])
})

test('goes on counting where another process stopped, and idles after `count` items', async () => {
  server.items = [a, b, c]
  const task = open({ count: 7 })
  const start$ = task.assignments$.pipe(take(1))
  const change = await firstValueFrom(start$)
  if (change.kind === 'assigned') await firstValueFrom(concat(change.start([{ ...partition, offset: 5 }]), of(1)))
  expect(await ids(task, 2)).toEqual(['a1', 'b2'])
  expect(await ids(task, 1, timer(150))).toEqual([])
  expect(server.asked).toHaveLength(1)
})

test('a process that starts again emits only what is new since the last commit', async () => {
  server.items = [a, b, c]
  const stores = new TaskStores()
  expect(await ids(open({}, stores), 2)).toEqual(['a1', 'b2'])
  const { chunks } = stores.commit({ ...partition, offset: 2 }, {})

  server.items = [b, c, a, d]
  const restored = new TaskStores()
  const task = open({}, restored)
  for (const bytes of chunks) restored.restore(partition, { sequence: 1, bytes })
  const change = await firstValueFrom(task.assignments$.pipe(take(1)))
  if (change.kind === 'assigned') await firstValueFrom(concat(change.start([{ ...partition, offset: 2 }]), of(1)))
  expect(await ids(task, 4, server.hasTold$)).toEqual(['a3', 'd4'])
  expect(task.positions()).toEqual([{ ...partition, offset: 4 }])
})

test('ends its request with the task', async () => {
  let closed = false
  server.answer = (response) => response.on('close', () => (closed = true))
  const task = open()
  const asked = firstValueFrom(server.hasBeenAsked())
  await firstValueFrom(concat(task.read(epoch(1)).pipe(takeUntil(asked)), of(1)))
  await firstValueFrom(task.assignments$.pipe(take(1)))
  await expect.poll(() => closed).toBe(true)
})

describe('one bad item', () => {
  const bad = { id: 'bad', at: Number.NaN }
  const items = (document: unknown) => (document as { items: Item[] }).items

  test('is rejected by itself, once, and the others come', async () => {
    server.items = [c, bad, a, b]
    const task = open()
    expect(await ids(task, 4, server.hasTold$)).toEqual(['a1', 'b2', 'a3'])
    server.items = [c, bad, a, b, d]
    expect(await ids(task, 4, server.hasTold$)).toEqual(['d4'])
    expect(rejected).toEqual([[{ id: 'bad', at: null }, expect.stringContaining('time: expected a time in ms')]])
  })

  test.each([
    ['id', { id: (item: Item) => (item.id === 'b2' ? undefined : item.id) }],
    ['id', { id: (item: Item) => (item.id === 'b2' ? [] : item.id) }],
    ['time', { time: (item: Item) => (item.id === 'b2' ? item.nothing!.there : item.at) }],
    ['updated', { updated: (item: Item) => (item.id === 'b2' ? Number.NaN : item.at) }],
    ['value', { value: (item: Item) => (item.id === 'b2' ? item.nothing!.there : item) }],
    ['key', { key: (item: Item) => (item.id === 'b2' ? item.nothing!.there : item.id) }],
    ['key that is none', { key: (item: Item) => (item.id === 'b2' ? Symbol('b2') : item.id) }],
  ])('is one of which `%s` fails', async (_what, options) => {
    server.items = [a, b, c]
    expect(await ids(open(options), 3, server.hasTold$)).toEqual(['a1', 'a3'])
    expect(rejected.map(([item]) => item)).toEqual([b])
  })

  test.each([
    ['before JSON gives up', 1_000],
    ['beyond what any stack takes', 200_000],
  ])('is one that nests %s, once, and the others come', async (_what, depth) => {
    const deep = `{"id":"b2","at":1,"more":${'['.repeat(depth)}${']'.repeat(depth)}}`
    server.answer = (response) => response.end(`{"items":[${deep},${JSON.stringify(a)},${JSON.stringify(c)}]}`)
    expect(await ids(open(), 3, server.hasTold$)).toEqual(['a1', 'a3'])
    expect(rejected.map(([, error]) => error)).toEqual(['it nests deeper than 100'])
  })

  test('is none of those that only a 64-bit integer tells apart', async () => {
    const texts = ['9007199254740992', '9007199254740993']
    server.answer = (response) => response.end(`{"items":[${texts.map((id) => `{"id":${id},"at":1}`).join()}]}`)
    const task = open({ id: ({ id }: Item) => String(id), key: undefined })
    expect((await ids(task, 2)).map(String)).toEqual(texts)
  })

  test('is none that ends an epoch twice: a policy that fails replays it', async () => {
    server.items = [a, bad]
    const task = open()
    expect(await ids(task, 2, server.hasTold$)).toEqual(['a1'])
    await firstValueFrom(task.rewind([{ ...partition, offset: 0 }], undefined), { defaultValue: undefined })
    expect(await ids(task, 2, server.hasTold$)).toEqual(['a1'])
    expect(rejected).toHaveLength(2)
  })

  test('a document that can not be read is asked for again as a whole', async () => {
    server.items = [a]
    let asked = 0
    const readable = (document: unknown) => {
      if (asked++ === 0) throw new Error('not yet')
      return items(document)
    }
    expect(await ids(open({ items: readable }), 1)).toEqual(['a1'])
    expect(server.asked.map(({ headers }) => headers['if-none-match']).slice(0, 2)).toEqual([undefined, undefined])
  })
})

describe('an item that changes', () => {
  interface Quake {
    readonly id: string
    readonly ids: readonly string[]
    readonly at: number
    readonly updated: number
    readonly magnitude: number
  }
  const quake = { id: 'us1', ids: ['us1'], at: 5, updated: 10, magnitude: 4 }
  const options = {
    id: ({ id, ids: others }: Quake) => [id, ...others],
    updated: ({ updated }: Quake) => updated,
    value: (item: Quake, id: string) => ({ ...item, id }),
  }
  const shown = (items: readonly Quake[]) => void (server.items = items as unknown as Item[])
  /** The server's ETag is made of ids. */
  const told = async (task: SourceTask, count: number) => {
    const records = await firstValueFrom(task.read(epoch(count, server.hasTold$)).pipe(take(count), toArray()))
    return records.map(({ value }) => [(value as Quake).id, (value as Quake).magnitude])
  }

  test('comes again when it was revised, as itself when its preferred id changes, and never an older one', async () => {
    const task = open(options)
    shown([quake])
    expect(await told(task, 9)).toEqual([['us1', 4]])
    shown([{ ...quake, id: 'ak9', ids: ['ak9', 'us1'] }])
    expect(await told(task, 9)).toEqual([])
    shown([{ ...quake, id: 'ak9', ids: ['ak9', 'us1', ''].filter(Boolean), updated: 11, magnitude: 5 }, a as never])
    expect(await told(task, 9)).toEqual([['us1', 5]])
    shown([{ ...quake, id: 'nn3', ids: ['ak9', 'nn3'], updated: 12, magnitude: 6 }])
    expect(await told(task, 9)).toEqual([['us1', 6]])
    shown([quake, quake])
    expect(await told(task, 9)).toEqual([])
  })

  test('is seen when it is committed: a process that starts again tells what was not', async () => {
    const stores = new TaskStores()
    const first = open(options, stores)
    shown([quake])
    expect(await told(first, 9)).toEqual([['us1', 4]])
    const { chunks } = stores.commit({ ...partition, offset: 1 }, {})
    shown([{ ...quake, id: 'ak9', ids: ['us1', 'ak9'], updated: 11, magnitude: 5 }])
    expect(await told(first, 9)).toEqual([['us1', 5]])

    const restored = new TaskStores()
    const second = open(options, restored)
    for (const bytes of chunks) restored.restore(partition, { sequence: 1, bytes })
    const change = await firstValueFrom(second.assignments$.pipe(take(1)))
    if (change.kind === 'assigned') await firstValueFrom(concat(change.start([{ ...partition, offset: 1 }]), of(1)))
    expect(await told(second, 9)).toEqual([['us1', 5]])
  })
})

test('a document that unpacks to more than maxBytes is given up, and the next one is taken', async () => {
  let isCut = false
  server.answer = (response) => {
    server.answer = undefined
    // The rest of it never comes, so only who gives it up goes on.
    response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync(Buffer.alloc(8 << 20, ' ')))
    response.on('close', () => (isCut = true))
  }
  server.items = [a]
  expect(await ids(open({ maxBytes: 1 << 20 }), 1)).toEqual(['a1'])
  expect(server.asked).toHaveLength(2)
  await expect.poll(() => isCut).toBe(true)
})
