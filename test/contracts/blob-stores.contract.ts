import { randomBytes } from 'node:crypto'
import {
  concat,
  defer,
  filter,
  firstValueFrom,
  from,
  concatMap as inTurn,
  lastValueFrom,
  mergeMap,
  type Observable,
  reduce,
  toArray,
} from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BlobEntry, BlobStore } from '../../src/sinks/archive/blob-store.js'
import { BlobProcess } from '../support/blob-process.js'
import { content } from '../support/content.js'

/** A kind of store with a server behind it, as the contract sees it. */
export interface StoreUnderTest {
  /** How to get to the store that `open` opens. */
  readonly options: object
  /** Whether what was begun and never ended is listed, and can be thrown away. */
  readonly isSwept: boolean
  /** A store of its own, in which nothing is yet; the same one again until the next `reset`. */
  open(): BlobStore
  reset(): Promise<void>
  /** Bytes that go up in this many parts. */
  readonly partBytes: number
  close(): Promise<void>
}

export const done = (work$: Observable<unknown>): Promise<unknown> => lastValueFrom(work$, { defaultValue: undefined })

/** Writes a file in pieces of this size. */
export function writing(store: BlobStore, name: string, bytes: Uint8Array, pieceBytes = 1_000_003): Observable<never> {
  return defer(() => {
    const writer = store.create(name)
    const starts = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, index) => index * pieceBytes)
    const write$ = from(starts).pipe(inTurn((start) => writer.write(bytes.subarray(start, start + pieceBytes))))
    return concat(
      write$,
      defer(() => writer.complete()),
    )
  })
}

export const write = (store: BlobStore, name: string, bytes: Uint8Array) => done(writing(store, name, bytes))

export async function read(store: BlobStore, name: string, range?: { from: number; to: number }): Promise<Buffer> {
  const all$ = store.read(name, range).pipe(reduce((pieces: Uint8Array[], piece) => [...pieces, piece], []))
  return Buffer.concat(await lastValueFrom(all$))
}

export async function list(store: BlobStore, prefix = ''): Promise<BlobEntry[]> {
  const all = await lastValueFrom(store.list(prefix).pipe(toArray()))
  return all.sort((a, b) => (a.name < b.name ? -1 : 1))
}

export const names = async (store: BlobStore, prefix = '') => (await list(store, prefix)).map(({ name }) => name)

/** What is the matter when nothing is tried any more; it may be over soon. */
export const opened = (store: BlobStore) => firstValueFrom(store.state$.pipe(filter(({ state }) => state === 'open')))

/** More tests of a kind of store, for `storeContract`. */
type More<S> = (store: () => S) => void

/** What every store promises, and `more` of what some have. */
export function storeContract<S extends StoreUnderTest>(
  name: string,
  start: () => Promise<S>,
  startMs: number,
  ...more: More<S>[]
) {
  describe(`blob store: ${name}`, () => {
    let kind: S
    beforeAll(async () => {
      kind = await start()
    }, startMs)
    beforeEach(() => kind.reset())
    afterAll(() => kind?.close())

    for (const tests of [promises, ...more]) tests(() => kind)
  })
}

function promises(kind: () => StoreUnderTest): void {
  const sizes = {
    'no bytes': () => 0,
    'one byte': () => 1,
    'a part': () => kind().partBytes,
    'a part and a byte': () => kind().partBytes + 1,
    'two parts and a half': () => Math.floor(kind().partBytes * 2.5),
    'three parts': () => kind().partBytes * 3,
  }

  test.each(Object.entries(sizes))('a file of %s is there as it was written, and not before', async (_, size) => {
    const store = kind().open()
    const bytes = content(size())
    const writer = store.create('a/file')
    await done(writer.write(bytes.subarray(0, bytes.length - 1)))
    await done(writer.write(bytes.subarray(bytes.length - 1)))
    expect(writer.heldBytes).toBeLessThanOrEqual(kind().partBytes)
    expect(await list(store)).toEqual([])
    await expect(read(store, 'a/file')).rejects.toMatchObject({ code: 'WEIR_BLOB_MISSING' })
    await done(writer.complete())
    expect(await list(store)).toEqual([{ name: 'a/file', bytes: bytes.length }])
    expect((await read(store, 'a/file')).equals(bytes)).toBe(true)
  })

  test('a part of a file is read by its range', async () => {
    const store = kind().open()
    const bytes = content(3_000_000)
    await write(store, 'file', bytes)
    for (const [start, end] of [
      [0, 4],
      [2_999_992, 3_000_000],
      [1_234_567, 2_345_678],
      [5, 5],
    ] as const)
      expect((await read(store, 'file', { from: start, to: end })).equals(bytes.subarray(start, end))).toBe(true)
  })

  test('files are listed by how their names begin, more than one page of them', async () => {
    const store = kind().open()
    const all = Array.from({ length: 1_030 }, (_, index) => `t/v1/dt=2026-01-01/pid=${index % 3}/${index}.parquet`)
    const more = ['t2/x', 't/v2/y', 'tt']
    await done(from([...all, ...more]).pipe(mergeMap((name) => writing(store, name, content(1)), 24)))
    expect(await names(store, 't/v1/')).toEqual([...all].sort())
    expect((await names(store)).length).toBe(all.length + more.length)
    expect(await names(store, 't/v')).toEqual([...all, 't/v2/y'].sort())
    expect(await names(store, 'nowhere/')).toEqual([])
  })

  test.each([
    'topic with blanks & signs/a+b=c;d,e@f(g)[h]{i}!$\'*~^`"<>|?#%25.avro',
    'Ünïcödé/日本語/🦦/e\u0301.parquet',
    `${'x'.repeat(255)}/${'y'.repeat(255)}`,
    'a/.hidden/_SUCCESS',
    'dt=2026-01-01/pid=0/1767225600000_offset0_count3.parquet',
  ])('a file is called %s', async (name) => {
    const store = kind().open()
    await write(store, name, content(10))
    expect(await list(store)).toEqual([{ name, bytes: 10 }])
    expect((await read(store, name)).equals(content(10))).toBe(true)
    await done(store.remove(name))
    expect(await list(store)).toEqual([])
  })

  test.each([
    '',
    '/a',
    'a/',
    'a//b',
    '../a',
    'a/../../b',
    '.',
    'a/./b',
    'a.',
    'a\\b',
    'a\0b',
    'a\nb',
    '\uD800',
    'x'.repeat(256),
    'é'.repeat(128),
    `${'x'.repeat(250)}/`.repeat(4) + 'x'.repeat(30),
    '.weir-1.part',
  ])('no file is called %j', async (name) => {
    const store = kind().open()
    expect(() => store.create(name)).toThrow(expect.objectContaining({ code: 'WEIR_BLOB_NAME' }))
    await expect(read(store, name)).rejects.toMatchObject({ code: 'WEIR_BLOB_NAME' })
    await expect(done(store.remove(name))).rejects.toMatchObject({ code: 'WEIR_BLOB_NAME' })
  })

  test('what is not there is removed as well', async () => {
    await done(kind().open().remove('no/such/file'))
  })

  for (const [size, bytes] of [
    ['small', () => 1_000],
    ['large', () => kind().partBytes + 7],
  ] as const) {
    test(`the same ${size} file written again is fine`, async () => {
      const store = kind().open()
      await write(store, 'a/file', content(bytes()))
      await write(store, 'a/file', content(bytes()))
      expect(await list(store)).toEqual([{ name: 'a/file', bytes: bytes() }])
      expect(store.state).toEqual({ state: 'closed' })
    })

    test.each(['other bytes', 'fewer bytes'])(
      `a ${size} file of %s is refused, and what is there stays`,
      async (how) => {
        const store = kind().open()
        await write(store, 'a/file', content(bytes()))
        const other = how === 'other bytes' ? content(bytes(), 1) : content(bytes() - 1)
        await expect(write(store, 'a/file', other)).rejects.toMatchObject({
          code: 'WEIR_BLOB_CONFLICT',
          remedy: 'stop',
          message: expect.stringContaining(`${store.address}/a/file`),
        })
        expect((await read(store, 'a/file')).equals(content(bytes()))).toBe(true)
        expect(store.state).toEqual({ state: 'closed' })
      },
    )

    test(`four writers of the same ${size} file at once end well`, async () => {
      const store = kind().open()
      const all = Array.from({ length: 4 }, () => write(store, 'a/file', content(bytes())))
      await Promise.all(all)
      expect((await read(store, 'a/file')).equals(content(bytes()))).toBe(true)
      expect(await names(store)).toEqual(['a/file'])
    })

    test(`of four writers of other ${size} files at once one wins, and all others are told`, async () => {
      const store = kind().open()
      const all = Array.from({ length: 4 }, (_, seed) => write(store, 'a/file', content(bytes(), seed)))
      const ends = await Promise.allSettled(all)
      const winner = ends.findIndex(({ status }) => status === 'fulfilled')
      expect((await read(store, 'a/file')).equals(content(bytes(), winner))).toBe(true)
      const lost = ends.filter((end) => end.status === 'rejected')
      expect(lost.map(({ reason }) => reason.code)).toEqual(Array(3).fill('WEIR_BLOB_CONFLICT'))
    })
  }

  test('one after the other, in pieces of any size, in one and the same order of parts', async () => {
    const store = kind().open()
    const bytes = content(kind().partBytes + 4_321)
    for (const piece of [777_777, kind().partBytes, bytes.length]) await done(writing(store, 'file', bytes, piece))
    expect(await names(store)).toEqual(['file'])
  })

  test('nothing is left of a file that is given up', async () => {
    const store = kind().open()
    const writer = store.create('a/file')
    await done(writer.write(content(kind().partBytes * 2 + 1)))
    await done(writer.abort())
    expect(await names(store)).toEqual([])
    expect(await lastValueFrom(store.sweep(Date.now() + 60_000).pipe(toArray()))).toEqual([])
    await write(store, 'a/file', randomBytes(10))
  })

  test('a writer may be given up before it has written, and after it has failed', async () => {
    const store = kind().open()
    await done(store.create('a/file').abort())
    await write(store, 'a/file', content(kind().partBytes + 5))
    const writer = store.create('a/file')
    await done(writer.write(content(kind().partBytes + 5, 1)))
    await expect(done(writer.complete())).rejects.toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
    await done(writer.abort())
    expect(await lastValueFrom(store.sweep(Date.now() + 60_000).pipe(toArray()))).toEqual([])
  })

  test('a process that is killed in the middle of a file leaves nothing to see, and the next one writes it', async () => {
    const bytes = kind().partBytes * 2 + 9
    const { options: store, isSwept } = kind()
    const killed = new BlobProcess({ store, name: 'a/file', bytes, until: kind().partBytes + 5 })
    await vi.waitFor(() => expect(killed.said).toBe('written\n'), 180_000)
    await killed.kill()
    expect(await list(kind().open())).toEqual([])
    const next = new BlobProcess({ store, name: 'a/file', bytes })
    // It ends by itself: no connection keeps it.
    await next.exited
    expect(next.said).toBe('written\ncomplete\n')
    expect((await read(kind().open(), 'a/file')).equals(content(bytes))).toBe(true)
    const sweep = async (before: number) => lastValueFrom(kind().open().sweep(before).pipe(toArray()))
    expect(await sweep(Date.now() - 3_600_000)).toEqual([])
    expect((await sweep(Date.now() + 3_600_000)).length).toBe(isSwept ? 1 : 0)
    expect(await sweep(Date.now() + 3_600_000)).toEqual([])
    expect(await names(kind().open())).toEqual(['a/file'])
  })
}
