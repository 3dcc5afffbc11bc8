import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import type { CodecVersion, StoreCodec } from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

const here = { topic: 't', partition: 2 }
const packr = new Packr({ useRecords: false, moreTypes: true })

const plain: StoreCodec<unknown> = { version: 1, save: (value) => value, load: (saved) => saved }

function storesOf(codecs: Record<string, StoreCodec<unknown>> = { counts: plain }, generation = 1) {
  const stores = new TaskStores()
  const declared = Object.entries(codecs).map(([name, codec]) => stores.declare(name, codec))
  stores.assign({ ...here, generation, sequence: 0 })
  return { stores, parts: declared.map((store) => store.of('t', 2)) }
}

const commit = (stores: TaskStores) => stores.commit({ ...here, offset: 7 }, { streamTime: 5 })

function caught(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

/** One chunk of a store `counts` with the value 1 at the key `a`. */
function chunk(codec: StoreCodec<unknown> = plain): Uint8Array {
  const { stores, parts } = storesOf({ counts: codec })
  parts[0]?.add(0, 'a', 1)
  return commit(stores).chunks[0] as Uint8Array
}

describe('a commit', () => {
  test('tells the partition, its generation, how far it is and what changed', () => {
    const { stores, parts } = storesOf({ counts: plain }, 4)
    parts[0]?.add(0, 'a', 1)
    expect(commit(stores)).toEqual({
      ...here,
      generation: 4,
      progress: { position: 7, streamTime: 5 },
      sequence: 1,
      chunks: [expect.any(Uint8Array)],
      truncateBefore: undefined,
    })
  })

  test('packs each changed store into a chunk of its own', () => {
    const { stores, parts } = storesOf({ one: plain, two: plain, three: plain })
    parts[0]?.add(0, 'a', 1)
    parts[2]?.add(0, 'a', 1)
    expect(commit(stores).chunks).toHaveLength(2)
  })

  test('splits what is larger than 1 MiB, and all of it is restored', () => {
    const { stores, parts } = storesOf()
    const values = Array.from({ length: 5_000 }, (_, index) => `${index}`.padEnd(1_000, 'x'))
    for (const [index, value] of values.entries()) parts[0]?.add(index % 3, index, value)
    const { chunks, sequence } = commit(stores)
    expect(chunks.length).toBeGreaterThanOrEqual(5)
    for (const { length } of chunks) expect(length).toBeLessThanOrEqual(1 << 20)
    const again = storesOf()
    for (const bytes of chunks) again.stores.restore(here, { sequence, bytes })
    for (const [index, value] of values.entries()) expect(again.parts[0]?.get(index % 3, index)?.value).toBe(value)
  })

  test('splits changes before whole values, whatever is too large', () => {
    const growing: StoreCodec<unknown> = {
      version: 1,
      save: (value) => value,
      load: (saved) => saved,
      changes: (value) => (value as string[]).at(-1),
      apply: (value, change) => [...(value as string[]), change],
    }
    const { stores, parts } = storesOf({ lists: growing })
    const log: { sequence: number; bytes: Uint8Array }[] = []
    const keep = () => {
      const { chunks, sequence } = commit(stores)
      log.push(...chunks.map((bytes) => ({ sequence, bytes: Uint8Array.from(bytes) })))
      return chunks
    }
    const text = 'x'.repeat(1_000)
    for (let index = 0; index < 3_000; index++) parts[0]?.add(0, index, [text])
    keep()
    for (let index = 0; index < 3_000; index++) {
      const entry = parts[0]?.get(0, index)
      if (entry === undefined) throw new Error('it was just added')
      ;(entry.value as string[]).push(`${index}${text}`)
      parts[0]?.touch(entry)
    }
    const chunks = keep()
    expect(chunks.length).toBeGreaterThanOrEqual(6)
    for (const { length } of chunks) expect(length).toBeLessThanOrEqual(1 << 20)
    const again = storesOf({ lists: growing })
    for (const part of log) again.stores.restore(here, part)
    for (const index of [0, 1, 1_499, 2_999]) {
      expect(again.parts[0]?.get(0, index)?.value).toEqual([text, `${index}${text}`])
    }
  })

  test('is cut into pieces when a single value is larger than that, or its key', () => {
    const { stores, parts } = storesOf()
    const large = 'x'.repeat(3 << 20)
    parts[0]?.add(0, 'a', large)
    parts[0]?.add(0, large, 1)
    parts[0]?.add(0, 'b', 2)
    const { chunks, sequence } = commit(stores)
    expect(chunks.length).toBeGreaterThanOrEqual(8)
    for (const { length } of chunks) expect(length).toBeLessThan(1 << 20)
    const again = storesOf()
    for (const bytes of chunks) again.stores.restore(here, { sequence, bytes })
    expect(['a', large, 'b'].map((key) => again.parts[0]?.get(0, key)?.value === parts[0]?.get(0, key)?.value)).toEqual(
      [true, true, true],
    )
    const torn = storesOf()
    const order = chunks.filter((_, index) => index !== 1)
    expect(caught(() => order.forEach((bytes) => torn.stores.restore(here, { sequence, bytes })))).toMatchObject({
      code: 'WEIR_CHECKPOINT_CORRUPT',
    })
  })
})

describe('a chunk', () => {
  const restore = (bytes: Uint8Array, codecs?: Record<string, StoreCodec<unknown>>) => () =>
    storesOf(codecs).stores.restore(here, { sequence: 1, bytes })

  test('of an unknown format is corrupt', () => {
    expect(caught(restore(packr.pack([9, []])))).toMatchObject({
      code: 'WEIR_CHECKPOINT_CORRUPT',
      remedy: 'stop',
      message: 'restoring the state of t-2: format 9 is not known here',
      place: { partition: here },
    })
  })

  test('of a store that the flow no longer has is refused once all is restored, unless it is given up', () => {
    const restoring = (givenUp: readonly string[]) => () => {
      const stores = new TaskStores(givenUp)
      stores.declare('others', plain)
      stores.assign({ ...here, generation: 1, sequence: 1 })
      stores.restore(here, { sequence: 1, bytes: chunk() })
      return stores.restored(here)
    }
    expect(caught(restoring([]))).toMatchObject({
      code: 'WEIR_CHECKPOINT_UNKNOWN_STORE',
      remedy: 'stop',
      message: "restoring the state of t-2: it holds 1 entry of the store 'counts', which the flow no longer has",
      place: { stage: 'counts', partition: here },
      hint: expect.stringContaining("givesUp: ['counts']"),
    })
    expect(caught(restoring(['counts']))).toBe(0)
  })

  test('of a store that the flow no longer has is no matter when nothing is left in it', () => {
    const { stores: before, parts } = storesOf()
    parts[0]?.add(5, 'a', 1)
    const log = [commit(before)]
    parts[0]?.dropSegment(5)
    log.push(commit(before))
    const { stores } = storesOf({ others: plain })
    for (const { sequence, chunks } of log) for (const bytes of chunks) stores.restore(here, { sequence, bytes })
    expect(caught(() => stores.restored(here))).toBe(0)
  })

  test.each([
    ['nothing', new Uint8Array()],
    ['noise', Uint8Array.from([0xc1, 0x99, 0x03])],
    ['a number', packr.pack(42)],
    ['null', packr.pack(null)],
    ['an object', packr.pack({ format: 1 })],
    ['no section', packr.pack([1])],
    ['a section of something else', packr.pack([1, 'counts'])],
    ['a section that is a text', packr.pack([1, 'counts, and more'])],
    ['a section without its lists', packr.pack([1, ['counts', 1]])],
    ['lists of something else', packr.pack([1, ['counts', 1, [], [], 4, []]])],
    ['lines of something else', packr.pack([1, ['counts', 1, [], [], [4], []]])],
    ['half a chunk', chunk().subarray(0, 9)],
    ['a chunk and more', Buffer.concat([chunk(), Buffer.from([1])])],
  ])('that is %s is corrupt', (_, bytes) => {
    expect(caught(restore(bytes))).toMatchObject({ code: 'WEIR_CHECKPOINT_CORRUPT', remedy: 'stop' })
  })

  test('whose values the codec can not load is corrupt', () => {
    const choosy: StoreCodec<unknown> = {
      ...plain,
      load: () => {
        throw new TypeError('expected a set')
      },
    }
    expect(caught(restore(chunk(), { counts: choosy }))).toMatchObject({
      code: 'WEIR_CHECKPOINT_CORRUPT',
      message: expect.stringContaining('expected a set'),
      cause: expect.any(TypeError),
    })
  })

  test.each([[1], [7], [[1, [2, 3]]]])('tells the codec that loads it the version %j it was saved under', (version) => {
    const versions: CodecVersion[] = []
    const current: StoreCodec<unknown> = {
      ...plain,
      version: 9,
      load: (saved, under) => {
        versions.push(under)
        return saved
      },
    }
    restore(chunk({ ...plain, version: version as CodecVersion }), { counts: current })()
    expect(versions).toEqual([version])
  })

  describe('of changes', () => {
    const items: StoreCodec<unknown> = {
      version: 4,
      save: (value) => value,
      load: (saved) => saved,
      changes: (value) => (value as string[]).at(-1),
      apply: (value, change) => [...(value as string[]), change],
    }
    /** A list of many items, and a change that adds one. */
    const log = () => {
      const { stores, parts } = storesOf({ counts: items })
      const value = Array.from({ length: 30 }, () => 'item')
      const entry = parts[0]?.add(0, 'a', value)
      const first = commit(stores)
      value.push('last')
      if (entry !== undefined) parts[0]?.touch(entry)
      return [first, commit(stores)].flatMap(({ sequence, chunks }) => chunks.map((bytes) => ({ sequence, bytes })))
    }

    test('tells the codec the version that they were saved under', () => {
      const versions: CodecVersion[] = []
      const apply = (value: unknown, change: unknown, version: CodecVersion) => {
        versions.push(version)
        return [...(value as string[]), `new ${String(change)}`]
      }
      const { stores, parts } = storesOf({ counts: { ...items, version: 5, apply } })
      for (const part of log()) stores.restore(here, part)
      expect(versions).toEqual([4])
      expect((parts[0]?.get(0, 'a')?.value as string[]).at(-1)).toBe('new last')
    })

    test('is corrupt when the codec knows no changes', () => {
      const { stores } = storesOf()
      const [whole, change] = log()
      if (whole === undefined || change === undefined) throw new Error('there are two chunks')
      stores.restore(here, whole)
      expect(caught(() => stores.restore(here, change))).toMatchObject({
        code: 'WEIR_CHECKPOINT_CORRUPT',
        message: expect.stringContaining("the codec of 'counts'"),
      })
    })
  })
})

describe('stores', () => {
  test('of one name are refused', () => {
    const stores = new TaskStores()
    stores.declare('counts', plain)
    expect(caught(() => stores.declare('counts', plain))).toMatchObject({ code: 'WEIR_CONFIG_INVALID' })
  })

  test('of a partition that is not assigned can not be used', () => {
    const stores = new TaskStores()
    const store = stores.declare('counts', plain)
    expect(caught(() => store.of('t', 2))).toMatchObject({ code: 'WEIR_TASK_UNEXPECTED', remedy: 'restart' })
  })

  test('are empty again when a partition comes back', () => {
    const { stores, parts } = storesOf()
    parts[0]?.add(0, 'a', 1)
    stores.release([here])
    stores.assign({ ...here, generation: 2, sequence: 3 })
    expect(commit(stores)).toMatchObject({ generation: 2, sequence: 3, chunks: [] })
  })

  test('of other partitions are left as they are', () => {
    const stores = new TaskStores()
    const store = stores.declare('counts', plain)
    for (const partition of [0, 1]) stores.assign({ topic: 't', partition, generation: 1, sequence: 0 })
    store.of('t', 0).add(0, 'a', 1)
    store.of('t', 1).add(0, 'a', 2)
    stores.release([{ topic: 't', partition: 0 }])
    expect([...store.partitions()].map((part) => part.get(0, 'a')?.value)).toEqual([2])
  })
})
