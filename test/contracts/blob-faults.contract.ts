import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { from, lastValueFrom, takeUntil, toArray } from 'rxjs'
import { expect, test, vi } from 'vitest'
import type { BlobStore } from '../../src/sinks/archive/blob-store.js'
import {
  cutAnswer,
  cutRequest,
  type Fault,
  type FaultProxy,
  held,
  loseAnswer,
  neverAnswer,
  neverRead,
  saying,
  slow,
} from '../servers/fault-proxy.js'
import { content } from '../support/content.js'
import { done, names, opened, read, type StoreUnderTest, write, writing } from './blob-stores.contract.js'

export interface Way {
  /** How long a request is tried again, ms of a clock that is 20 times as fast as others. Default: for ever. */
  readonly patienceMs?: number
  /** Default: as stores have it. */
  readonly requestTimeout?: number
}

/** A store that is reached by a way on which requests meet faults. */
export interface HinderedStore extends StoreUnderTest {
  readonly proxy: FaultProxy
  /** The store of this test, by that way. */
  through(way?: Way): BlobStore
  /** A store of a bucket that is not there, and how to make it. */
  missing(way?: Way): BlobStore
  make(): Promise<unknown>
  /** The store of this test with credentials that nobody knows; undefined where the server looks at none. */
  stranger?(way?: Way): BlobStore
  /** What the store says when it is in trouble, has too much to do, and knows nobody of that name. */
  readonly busy: Fault
  readonly throttled: Fault
  readonly denied: Fault
  /** Whether the server passes over bytes of an upload that come a second time, as the real one does. */
  readonly takesPartsTwice: boolean
  /** What has just been logged. */
  readonly log: { readonly lines: string[] }
}

const html = '<html><body>502 Bad Gateway</body></html>'

/** What becomes of requests, and which of a large file meet it: all of them, but for those that the server can't take twice. */
const faults: Readonly<Record<string, (kind: HinderedStore) => Fault>> = {
  'a server in trouble': ({ busy }) => busy,
  'too much to do': ({ throttled }) => throttled,
  'a gateway that answers with a page': () => saying(502, html, { 'content-type': 'text/html' }),
  'a gateway that answers with nothing': () => saying(504, ''),
  'somebody who answers all with a page': () => saying(200, html, { 'content-type': 'text/html' }),
  'a connection that is cut': () => cutRequest,
  'an answer that is lost': () => loseAnswer,
  'a slow answer': () => slow(100),
}

/** Each request of a kind the first time that it comes. */
function firstTime(kind: HinderedStore, fault: Fault): (asked: IncomingMessage) => boolean {
  const seen = new Set<string>()
  return ({ method, url = '', headers }) => {
    const range = headers['content-range'] ?? ''
    if (fault === loseAnswer && !kind.takesPartsTwice && range.endsWith('/*')) return false
    const key = `${method} ${url.replace(/(upload_?id|blockid)=[^&]*/i, '')} ${range}`
    return seen.size !== seen.add(key).size
  }
}

/** What takes its time, or is met as others are. */
const onlySmall = ['too much to do', 'a gateway that answers with nothing', 'a slow answer']

const sizes = [
  ['small', ({ partBytes }: HinderedStore) => Math.floor(partBytes / 8_000)],
  ['large', ({ partBytes }: HinderedStore) => partBytes + 7],
] as const

/** What every store promises whose requests meet what networks and servers do. */
export function hindrances(kind: () => HinderedStore): void {
  for (const [name, faultOf] of Object.entries(faults)) {
    test.each(sizes.filter(([size]) => size === 'small' || !onlySmall.includes(name)))(
      `${name} costs a %s file nothing, whichever request meets it`,
      async (_, bytes) => {
        const { proxy } = kind()
        const fault = faultOf(kind())
        proxy.meet(fault, Number.POSITIVE_INFINITY, firstTime(kind(), fault))
        await write(kind().through(), 'a/file', content(bytes(kind())))
        expect((await read(kind().open(), 'a/file')).equals(content(bytes(kind())))).toBe(true)
        expect(await names(kind().open())).toEqual(['a/file'])
        // It has met them.
        expect(proxy.met).toBeGreaterThan(0)
      },
    )
  }

  test('a file is read on where the connection was cut', async () => {
    await write(kind().open(), 'a/file', content(3_000_000))
    kind().proxy.meet(cutAnswer, 2)
    expect((await read(kind().through(), 'a/file')).equals(content(3_000_000))).toBe(true)
    expect(kind().proxy.met).toBe(2)
  })

  test.each([
    ['a request that is never answered', neverAnswer],
    ['a request that is never taken', neverRead],
  ])('%s meets its deadline, and leaves no connection behind', async (_, fault) => {
    const { proxy } = kind()
    const met = once(proxy.meetings, 'met') as Promise<[IncomingMessage]>
    proxy.meet(fault)
    // The clock is 20 times as fast.
    await write(kind().through({ requestTimeout: 30_000 }), 'a/file', content(3_000_000))
    expect((await read(kind().open(), 'a/file')).equals(content(3_000_000))).toBe(true)
    const [asked] = await met
    // Whoever reads nothing does not hear of the end.
    asked.resume()
    await expect.poll(() => asked.socket.destroyed).toBe(true)
  })

  test('a request that is left ends at once, and so does a file that is being read', async () => {
    const { proxy } = kind()
    const asked = once(proxy.meetings, 'met') as Promise<[IncomingMessage]>
    proxy.meet(neverAnswer)
    await done(writing(kind().through(), 'a/file', content(1_000)).pipe(takeUntil(from(asked))))
    const [{ socket }] = await asked
    await expect.poll(() => socket.destroyed).toBe(true)
  })

  test('a store that asks for time gets it', async () => {
    const { proxy } = kind()
    proxy.meet(kind().throttled)
    const started = performance.now()
    await write(kind().through(), 'a/file', content(10))
    // Ten seconds of that clock.
    expect(performance.now() - started).toBeGreaterThan(480)
    expect(proxy.requests).toHaveLength(2)
  })

  test('a store that keeps failing is left alone, it is told why, and everything goes on when it is back', async () => {
    const { proxy, log } = kind()
    const store = kind().through()
    proxy.meet(cutRequest, Number.POSITIVE_INFINITY)
    const states: string[] = []
    const watching = store.state$.subscribe(({ state }) => states.push(state))
    const files = ['a', 'b', 'c'].map((name) => write(store, name, content(100)))
    expect(await opened(store)).toMatchObject({ error: { code: 'WEIR_BLOB_UNREACHABLE' } })
    expect(log.lines.filter((line) => line.startsWith('error'))).toEqual([
      expect.stringContaining('Nothing is tried for'),
    ])
    await sleep(500)
    // Each half-open lets one through.
    expect(proxy.requests.length).toBeLessThan(30)
    proxy.reset()
    await Promise.all(files)
    expect(store.state).toEqual({ state: 'closed' })
    expect(await names(kind().open())).toEqual(['a', 'b', 'c'])
    expect(log.lines.at(-1)).toMatch(/^info: .* answers again/)
    watching.unsubscribe()
    expect(states.slice(0, 3)).toEqual(['closed', 'open', 'half-open'])
    expect(states.at(-1)).toBe('closed')
  })

  test('a bucket that is not there is told at once with what to do, and used as soon as it is', async () => {
    const { log } = kind()
    await expect(write(kind().missing({ patienceMs: 0 }), 'a/file', content(10))).rejects.toMatchObject({
      code: 'WEIR_BLOB_REFUSED',
      hint: expect.stringMatching(/^Create the (bucket|container)/),
    })
    log.lines.length = 0
    const store = kind().missing()
    const file = write(store, 'a/file', content(10))
    expect(await opened(store)).toMatchObject({ error: { code: 'WEIR_BLOB_REFUSED' } })
    expect(log.lines).toEqual([expect.stringMatching(/^error: .*Create the (bucket|container)/)])
    await kind().make()
    await file
    expect(await names(store)).toEqual(['a/file'])
  })

  test('credentials that are refused are told at once with what to do, and wait for somebody to mend that', async () => {
    const { proxy, log, stranger } = kind()
    if (stranger !== undefined)
      await expect(write(stranger({ patienceMs: 0 }), 'a/file', content(10))).rejects.toMatchObject({
        code: 'WEIR_BLOB_REFUSED',
        hint: expect.stringMatching(/^Check/),
      })
    log.lines.length = 0
    proxy.meet(kind().denied)
    const store = kind().through()
    const file = write(store, 'a/file', content(10))
    expect(await opened(store)).toMatchObject({ error: { code: 'WEIR_BLOB_REFUSED' } })
    expect(log.lines).toEqual([expect.stringMatching(/^error: .*(Check|Grant)/)])
    await file
    expect(proxy.requests).toHaveLength(2)
  })

  test('of a store without patience an error is told in time, whatever it is about', async () => {
    kind().proxy.meet(kind().busy, Number.POSITIVE_INFINITY)
    const store = kind().through({ patienceMs: 3_000 })
    await expect(write(store, 'a/file', content(10))).rejects.toMatchObject({ code: 'WEIR_BLOB_UNREACHABLE' })
    await expect(names(store)).rejects.toMatchObject({ code: 'WEIR_BLOB_UNREACHABLE' })
  })

  test.each(['the same', 'another'])(
    'a zombie that wakes up with %s file after the next has written it',
    async (which) => {
      const { proxy } = kind()
      const bytes = kind().partBytes + 5
      const awake = new AbortController()
      const isLast = ({ url = '', method, headers }: IncomingMessage) =>
        /[?&]uploadId=[^&]*$/.test(url.replace(/&?x-id=\w+/, '')) && method === 'POST'
          ? true
          : /comp=blocklist/.test(url) || /\/\d+$/.test(headers['content-range'] ?? '')
      proxy.meet(held(once(awake.signal, 'abort')), 1, isLast)
      const zombie = write(kind().through(), 'a/file', content(bytes, which === 'the same' ? 0 : 1))
      const end = zombie.then(
        () => 'well',
        ({ code }) => code,
      )
      await vi.waitFor(() => expect(proxy.met).toBe(1), 60_000)
      await write(kind().open(), 'a/file', content(bytes))
      awake.abort()
      expect(await end).toBe(which === 'the same' ? 'well' : 'WEIR_BLOB_CONFLICT')
      expect((await read(kind().open(), 'a/file')).equals(content(bytes))).toBe(true)
    },
  )

  test('what is begun and left is found later, and thrown away', async () => {
    const store = kind().through()
    const writer = store.create('a/file')
    await done(writer.write(content(kind().partBytes + 5)))
    const sweep = async (before: number) => lastValueFrom(kind().open().sweep(before).pipe(toArray()))
    expect(await sweep(Date.now() - 3_600_000)).toEqual([])
    if (!kind().isSwept) return
    expect(await sweep(Date.now() + 3_600_000)).toEqual(['a/file'])
    expect(await sweep(Date.now() + 3_600_000)).toEqual([])
    await expect(done(writer.complete())).rejects.toMatchObject({ code: 'WEIR_BLOB_MISSING', remedy: 'retry' })
  })
}
