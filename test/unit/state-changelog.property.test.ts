import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PartitionCommit, Store, StoreCodec, StoredChunk, StoreKey } from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

const here = { topic: 't', partition: 0 }
const position = { ...here, offset: 0 }

/** A set that tells what was added since it was last saved. */
interface Bag {
  readonly items: Set<number>
  fresh: number[]
}

const bags: StoreCodec<Bag> = {
  version: 3,
  save(bag) {
    bag.fresh = []
    return [...bag.items]
  },
  load: (saved) => ({ items: new Set(saved as number[]), fresh: [] }),
  changes(bag) {
    const { fresh } = bag
    bag.fresh = []
    return fresh
  },
  apply(bag, changes) {
    for (const item of changes as number[]) bag.items.add(item)
    return bag
  },
}

const texts: StoreCodec<{ text: string }> = {
  version: 1,
  save: ({ text }) => text,
  load: (saved) => ({ text: saved as string }),
}

/** The same, telling how much it takes: small numbers take up to three bytes. */
const sized: StoreCodec<Bag> = { ...bags, size: ({ items }) => 3 * items.size }

/** What is kept of one partition, and its log as a checkpoint store would hold it. */
class Kept {
  readonly stores = new TaskStores()
  readonly bags: Store<Bag> = this.stores.declare('bags', bags)
  readonly sized: Store<Bag> = this.stores.declare('sized', sized)
  readonly texts: Store<{ text: string }> = this.stores.declare('texts', texts)
  log: StoredChunk[]

  constructor(log: readonly StoredChunk[] = []) {
    this.log = [...log]
    const sequence = Math.max(0, ...log.map((chunk) => chunk.sequence))
    this.stores.assign({ ...here, generation: 1, sequence })
    for (const chunk of log) this.stores.restore(here, chunk)
  }

  commit(): PartitionCommit {
    const commit = this.stores.commit(position, {})
    const { sequence, chunks, truncateBefore = 0 } = commit
    this.log = [...this.log, ...chunks.map((bytes) => ({ sequence, bytes: Uint8Array.from(bytes) }))].filter(
      (chunk) => chunk.sequence >= truncateBefore,
    )
    return commit
  }

  add(segment: number, key: StoreKey, item: number): void {
    for (const store of [this.bags, this.sized]) {
      const part = store.of('t', 0)
      const entry = part.get(segment, key) ?? part.add(segment, key, { items: new Set(), fresh: [] })
      if (!entry.value.items.has(item)) entry.value.fresh.push(item)
      entry.value.items.add(item)
      part.touch(entry)
    }
  }

  put(segment: number, key: StoreKey, text: string): void {
    const part = this.texts.of('t', 0)
    const entry = part.get(segment, key)
    if (entry === undefined) part.add(segment, key, { text })
    else {
      entry.value = { text }
      part.touch(entry)
    }
  }

  remove(segment: number, key: StoreKey): void {
    for (const store of [this.bags, this.sized, this.texts]) store.of('t', 0).delete(segment, key)
  }

  drop(segment: number): void {
    for (const store of [this.bags, this.sized, this.texts]) store.of('t', 0).dropSegment(segment)
  }

  /** All of it as plain data, in an order of its own. */
  content(): unknown {
    const all = <V>(store: Store<V>, plain: (value: V) => unknown) => {
      const part = store.of('t', 0)
      const lines = [...part.segments()].flatMap((segment) =>
        [...(part.segment(segment) ?? [])].map(([key, { value }]) => [segment, key, plain(value)]),
      )
      return lines.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    }
    const items = ({ items }: Bag) => [...items].sort((a, b) => a - b)
    return [all(this.bags, items), all(this.texts, ({ text }) => text), all(this.sized, items)]
  }

  bytes(): number {
    return this.log.reduce((bytes, chunk) => bytes + chunk.bytes.length, 0)
  }
}

type Step = (kept: Kept) => void

const key = fc.oneof(fc.nat(5), fc.constantFrom('a', 'b', ''), fc.constant(null))
const segment = fc.integer({ min: -1, max: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(segment, key, fc.nat(30)).map(
      ([s, k, n]): Step =>
        (kept) =>
          kept.add(s, k, n),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(segment, key, fc.string()).map(
      ([s, k, t]): Step =>
        (kept) =>
          kept.put(s, k, t),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(segment, key).map(
      ([s, k]): Step =>
        (kept) =>
          kept.remove(s, k),
    ),
  },
  {
    weight: 1,
    arbitrary: segment.map(
      (s): Step =>
        (kept) =>
          kept.drop(s),
    ),
  },
)
const epochs = fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 60 })

describe('the log of a partition', () => {
  test('restores, after any epoch, what was there then', () => {
    fc.assert(
      fc.property(epochs, (run) => {
        const kept = new Kept()
        for (const steps of run) {
          for (const one of steps) one(kept)
          kept.commit()
          expect(new Kept(kept.log).content()).toEqual(kept.content())
        }
      }),
      { numRuns: 150 },
    )
  })

  test('restores it also when the task begins anew between any two epochs', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.array(step, { maxLength: 12 }), fc.boolean()), { maxLength: 60 }), (run) => {
        let kept = new Kept()
        const never = new Kept()
        for (const [steps, restarts] of run) {
          if (restarts) {
            // What the epoch that failed did is gone.
            for (const one of steps) one(kept)
            kept = new Kept(kept.log)
          } else {
            for (const one of steps) one(kept)
            for (const one of steps) one(never)
            kept.commit()
          }
          expect(kept.content()).toEqual(never.content())
        }
      }),
      { numRuns: 150 },
    )
  })

  test.each([0, Number.NaN, -1e9, Infinity, -Infinity, 1e300, 2 ** 53, 0.1, undefined as never])(
    'ends, and restores, when a codec says that its values take %d bytes',
    (size) => {
      const codec = { ...bags, size: () => size }
      const stores = new TaskStores()
      const store = stores.declare('bags', codec)
      stores.assign({ ...here, generation: 1, sequence: 0 })
      const part = store.of('t', 0)
      const log: StoredChunk[] = []
      for (let epoch = 0; epoch < 300; epoch++) {
        const key = String(epoch % 7)
        const entry = part.get(0, key) ?? part.add(0, key, { items: new Set(), fresh: [] })
        entry.value.items.add(epoch)
        entry.value.fresh.push(epoch)
        part.touch(entry)
        if (epoch % 50 === 49) part.delete(0, '3')
        const { sequence, chunks, truncateBefore = 0 } = stores.commit(position, {})
        log.push(...chunks.map((bytes) => ({ sequence, bytes: Uint8Array.from(bytes) })))
        while (log[0] !== undefined && log[0].sequence < truncateBefore) log.shift()
      }
      const again = new TaskStores()
      const restored = again.declare('bags', codec)
      again.assign({ ...here, generation: 2, sequence: 300 })
      for (const chunk of log) again.restore(here, chunk)
      const content = (of: Store<Bag>) =>
        [...(of.of('t', 0).segment(0) ?? [])].map(([key, { value }]) => [key, value.items])
      expect(new Map(content(restored) as never)).toEqual(new Map(content(store) as never))
    },
  )

  test('is not written when nothing has changed', () => {
    const kept = new Kept()
    kept.add(0, 'a', 1)
    expect(kept.commit()).toMatchObject({ sequence: 1, chunks: [expect.any(Uint8Array), expect.any(Uint8Array)] })
    expect(kept.commit()).toMatchObject({ sequence: 1, chunks: [], truncateBefore: undefined })
  })

  test('is not written for what came and went within an epoch and was never there before', () => {
    const kept = new Kept()
    kept.put(0, 'a', 'x')
    kept.commit()
    kept.put(1, 'b', 'y')
    kept.put(1, 'c', 'y')
    kept.drop(1)
    kept.commit()
    expect(new Kept(kept.log).content()).toEqual([[], [[0, 'a', 'x']], []])
  })
})

/*
 * Whatever the workload: when the state has been there for a while, the log holds at most three times what is alive,
 * and what the last commit added.
 */
describe('the log stays within three times what is alive', () => {
  /** A pseudo-random number below `bound`, the same for the same seed. */
  function random(seed: number): (bound: number) => number {
    let state = seed
    return (bound) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * bound)
    }
  }

  /** The live state in bytes: a log into which all of it was just written. */
  function liveBytes(kept: Kept): number {
    const fresh = new Kept()
    const [sets, words] = kept.content() as [[number, StoreKey, number[]][], [number, StoreKey, string][]]
    for (const [s, k, items] of sets) for (const item of items) fresh.add(s, k, item)
    for (const [s, k, text] of words) fresh.put(s, k, text)
    fresh.commit()
    return fresh.bytes()
  }

  test('what grows, and tells how much it takes, is written once', () => {
    const grown = (codec: StoreCodec<Bag>) => {
      const stores = new TaskStores()
      const part = stores.declare('sets', codec)
      stores.assign({ ...here, generation: 1, sequence: 0 })
      const bag: Bag = { items: new Set(), fresh: [] }
      const entry = part.of('t', 0).add(0, null, bag)
      let bytes = 0
      for (let item = 0; item < 30_000; item++) {
        bag.items.add(item)
        bag.fresh.push(item)
        part.of('t', 0).touch(entry)
        if (item % 200 === 199) for (const chunk of stores.commit(position, {}).chunks) bytes += chunk.length
      }
      return bytes
    }
    const once = 3 * 30_000
    expect(grown(sized)).toBeLessThan(1.1 * once)
    expect(grown(bags)).toBeGreaterThan(2 * once)
  })

  type Pick = (bound: number) => number
  type Workload = (size: number) => (kept: Kept, pick: Pick, epoch: number) => void

  const text = (pick: Pick) => `value ${pick(1e9)} ${'x'.repeat(pick(60))}`
  const workloads: Record<string, Workload> = {
    'values replaced at random': (size) => (kept, pick) => {
      for (let index = 0; index < 20; index++) kept.put(0, pick(20 * size), text(pick))
    },
    'a few that change all the time, and many that never do': (size) => (kept, pick, epoch) => {
      if (epoch < 40) for (let index = 0; index < size; index++) kept.put(0, epoch * size + index, text(pick))
      for (let index = 0; index < 20; index++) kept.put(1, pick(10), text(pick))
    },
    'all of it in one epoch, then a few that change': (size) => (kept, pick, epoch) => {
      if (epoch === 0) for (let index = 0; index < 50 * size; index++) kept.put(0, index, text(pick))
      for (let index = 0; index < 5; index++) kept.put(1, pick(10), text(pick))
    },
    'windows of growing sets that come and go': (size) => (kept, pick, epoch) => {
      const window = Math.floor(epoch / 25)
      for (let index = 0; index < 40; index++) kept.add(window - pick(3), pick(size), pick(2_000))
      kept.drop(window - 3)
    },
    'large windows beside a little that stays': (size) => (kept, pick, epoch) => {
      for (let index = 0; index < 10; index++) kept.put(1 + Math.floor(epoch / 40), pick(10 * size), text(pick))
      if (epoch < 20) for (let index = 0; index < size; index++) kept.put(0, epoch * size + index, text(pick))
      kept.drop(Math.floor(epoch / 40))
    },
    'sets that only grow': (size) => (kept, pick) => {
      for (let index = 0; index < 20; index++) kept.add(0, pick(size), pick(5_000))
    },
    'what is put and removed again': (size) => (kept, pick, epoch) => {
      for (let index = 0; index < 20; index++) kept.put(0, pick(20 * size), text(pick))
      for (let index = 0; index < (epoch % 100 < 50 ? 5 : 25); index++) kept.remove(0, pick(20 * size))
    },
  }

  test.each(Object.entries(workloads))('with %s', (_, workload) => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 60 }), (seed, size) => {
        const kept = new Kept()
        const pick = random(seed)
        const epoch = workload(size)
        for (let number = 0; number < 300; number++) {
          epoch(kept, pick, number)
          const added = kept.commit().chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
          if (number >= 60 && number % 9 === 0)
            expect(kept.bytes() / (liveBytes(kept) + added / 3)).toBeLessThanOrEqual(3)
          if (number % 60 === 59) expect(new Kept(kept.log).content()).toEqual(kept.content())
        }
      }),
      { numRuns: 4 },
    )
  })

  test('with a list that keeps its length while items come and go', () => {
    const kept = new Kept()
    const part = kept.bags.of('t', 0)
    const items = Array.from({ length: 200 }, (_, index) => index)
    const entry = part.add(0, 'list', { items: new Set(items), fresh: [] })
    kept.commit()
    for (let number = 200; number < 5_000; number++) {
      const [oldest] = entry.value.items
      entry.value.items.delete(oldest as number)
      entry.value.items.add(number)
      entry.value.fresh.push(number)
      part.touch(entry)
      kept.commit()
      expect(kept.bytes()).toBeLessThan(3 * 200 * 4)
    }
  })

  test('again after the task has begun anew', () => {
    let kept = new Kept()
    const pick = random(3)
    for (let number = 0; number < 300; number++) {
      if (number % 10 === 9) kept = new Kept(kept.log)
      for (let index = 0; index < 20; index++) kept.put(pick(40) === 0 ? 0 : 1, pick(400), text(pick))
      kept.commit()
      if (number >= 60 && number % 3 === 0) expect(kept.bytes() / liveBytes(kept)).toBeLessThan(3.1)
    }
  })
})

test('windows that are dropped before their log is three times the rest are never written again', () => {
  const kept = new Kept()
  let written = 0
  let fresh = 0
  for (let epoch = 0; epoch < 400; epoch++) {
    const window = Math.floor(epoch / 20)
    for (let index = 0; index < 10; index++) kept.put(window, epoch * 10 + index, 'a value that is written once')
    kept.drop(window - 2)
    written += kept.commit().chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
    fresh += 10 * 'a value that is written once'.length
  }
  expect(written).toBeLessThan(1.6 * fresh)
  expect(kept.bytes()).toBeLessThan(60 * 10 * 50)
})
