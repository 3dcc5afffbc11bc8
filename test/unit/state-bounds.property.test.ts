import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Store, type StoreBounds, type StoreCodec, type StoredChunk, StreamRecord } from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

const here = { topic: 't', partition: 0 }

/** A list that tells what was added since it was last saved. */
interface Letters {
  text: string
  fresh: string
}

const whole: StoreCodec<Letters> = {
  version: 1,
  save(letters) {
    letters.fresh = ''
    return letters.text
  },
  load: (saved) => ({ text: saved as string, fresh: '' }),
}
const byChange: StoreCodec<Letters> = {
  ...whole,
  changes(letters) {
    const { fresh } = letters
    letters.fresh = ''
    return fresh
  },
  apply(letters, fresh) {
    letters.text += fresh as string
    return letters
  },
}

/** What is kept of one partition, and its log as a checkpoint store would hold it. */
class Kept {
  readonly stores = new TaskStores()
  private readonly store: Store<Letters>

  constructor(
    codec: StoreCodec<Letters>,
    bounds: StoreBounds,
    public log: readonly StoredChunk[] = [],
  ) {
    this.store = this.stores.declare('letters', codec, bounds)
    const sequence = Math.max(0, ...log.map((chunk) => chunk.sequence))
    this.stores.assign({ ...here, generation: 1, sequence })
    for (const chunk of log) this.stores.restore(here, chunk)
  }

  /** A record comes at this stream time: what it adds is appended to its key, unless it only reads. */
  take({ key, adds, late }: Taken, now: number): string | undefined {
    const record = new StreamRecord(null, undefined, now - late, [], { ...here, offset: 0 }, late)
    const part = this.store.for(record)
    if (adds === '') return part.get(0, key)?.value.text
    const entry = part.get(0, key) ?? part.add(0, key, { text: '', fresh: '' })
    entry.value.text += adds
    entry.value.fresh += adds
    part.touch(entry)
    return entry.value.text
  }

  commit(streamTime: number | undefined): void {
    const { sequence, chunks, truncateBefore = 0 } = this.stores.commit({ ...here, offset: 0 }, { streamTime })
    const added = chunks.map((bytes) => ({ sequence, bytes: Uint8Array.from(bytes) }))
    this.log = [...this.log, ...added].filter((chunk) => chunk.sequence >= truncateBefore)
  }

  content(): unknown {
    const entries = [...(this.store.of('t', 0).segment(0) ?? [])]
    return entries.map(([key, { value }]) => [key, value.text] as const).sort(([a], [b]) => Number(a) - Number(b))
  }

  bytes(): number {
    return this.log.reduce((bytes, chunk) => bytes + chunk.bytes.length, 0)
  }
}

interface Taken {
  readonly key: number
  readonly adds: string
  /** By how much the record trails the stream time. */
  readonly late: number
}

/** The same by a plain map, whose order is that of the touches. */
class Model {
  constructor(
    private readonly ttl: number,
    private readonly maxKeys: number,
    readonly entries: Map<number, { readonly text: string; readonly at: number }> = new Map(),
  ) {}

  take({ key, adds }: Taken, now: number): string | undefined {
    this.expire(now)
    const before = this.entries.get(key)?.text
    if (adds === '') return before
    const text = (before ?? '') + adds
    this.entries.delete(key)
    this.entries.set(key, { text, at: now })
    for (const oldest of this.entries.keys()) if (this.entries.size > this.maxKeys) this.entries.delete(oldest)
    return text
  }

  expire(now: number): void {
    for (const [key, { at }] of this.entries) if (now - at >= this.ttl) this.entries.delete(key)
  }

  copy(): Model {
    return new Model(this.ttl, this.maxKeys, new Map(this.entries))
  }

  content(): unknown {
    return [...this.entries].map(([key, { text }]) => [key, text] as const).sort(([a], [b]) => a - b)
  }
}

const bounds = fc.record({
  ttl: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
  maxKeys: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
})
const taken = fc.record({
  key: fc.nat(12),
  adds: fc.constantFrom('', 'a', 'bc', 'def'),
  late: fc.nat(30),
  /** By how much the stream time moves on. */
  step: fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(80) }),
})
const epoch = fc.record({
  taken: fc.array(taken, { maxLength: 12 }),
  ends: fc.constantFrom('commit', 'crash', 'failure'),
})

describe('a bounded store', () => {
  test.each([
    ['of values', whole],
    ['of changes', byChange],
  ])('%s lets go of the same whatever is committed, fails or begins anew', (_, codec) => {
    fc.assert(
      fc.property(bounds, fc.array(epoch, { maxLength: 30 }), (given, epochs) => {
        const { ttl = Number.POSITIVE_INFINITY, maxKeys = Number.POSITIVE_INFINITY } = given
        let kept = new Kept(codec, given)
        let model = new Model(ttl, maxKeys)
        let now = 1_000
        for (const { taken: records, ends } of epochs) {
          const before = { model: model.copy(), now }
          for (const { step, ...record } of records) {
            now += step
            expect(kept.take(record, now)).toEqual(model.take(record, now))
          }
          if (ends === 'failure') {
            model = before.model
            now = before.now
          } else {
            kept.commit(now)
            model.expire(now)
            expect(kept.content()).toEqual(model.content())
          }
          if (ends !== 'commit') kept = new Kept(codec, given, kept.log)
          expect(kept.content()).toEqual(model.content())
        }
      }),
      { numRuns: 400 },
    )
  })

  test('does not take back what it has let go of', () => {
    const stores = new TaskStores()
    const store = stores.declare('letters', whole, { maxKeys: 1 })
    stores.assign({ ...here, generation: 1, sequence: 0 })
    const part = store.of('t', 0)
    const gone = part.add(0, 1, { text: 'x', fresh: 'x' })
    part.add(0, 2, { text: 'y', fresh: 'y' })
    part.touch(gone)
    part.add(0, 3, { text: 'z', fresh: 'z' })
    expect([...(part.segment(0)?.keys() ?? [])]).toEqual([3])
  })

  test('counts what it lets go of', () => {
    const kept = new Kept(whole, { ttl: 10, maxKeys: 2 })
    for (const key of [1, 2, 3]) kept.take({ key, adds: 'x', late: 0 }, key)
    kept.commit(3)
    expect(kept.stores.losses.get('letters')).toEqual({ expired: 0, evicted: 1 })
    kept.commit(12)
    expect(kept.stores.losses.get('letters')).toEqual({ expired: 1, evicted: 1 })
    expect(kept.content()).toEqual([[3, 'x']])
  })

  test('has a log that shrinks with it', () => {
    const kept = new Kept(whole, { ttl: 1_000 })
    let most = 0
    for (let time = 0; time < 20_000; time += 10) {
      for (let each = 0; each < 5; each++) kept.take({ key: time + each, adds: 'a text', late: 0 }, time)
      kept.commit(time)
      most = Math.max(most, kept.bytes())
    }
    const alive = new Kept(whole, {})
    for (const [key, text] of kept.content() as [number, string][]) alive.take({ key, adds: text, late: 0 }, 0)
    alive.commit(0)
    expect(kept.content()).toHaveLength(500)
    // An entry of a bounded store also says when it was touched.
    expect(most).toBeLessThan(6 * alive.bytes())
    for (let time = 20_000; time < 30_000; time += 1_000) kept.commit(time)
    expect(kept.content()).toEqual([])
    expect(kept.bytes()).toBeLessThan(most / 4)
  })

  test('has its keys go in chunks of no more than a megabyte', () => {
    const kept = new Kept(whole, { ttl: 10 })
    for (let key = 0; key < 200_000; key++) kept.take({ key: 1e9 + key, adds: 'x', late: 0 }, 0)
    kept.commit(0)
    kept.commit(10)
    for (const { bytes } of kept.log) expect(bytes.length).toBeLessThanOrEqual(1 << 20)
    expect(new Kept(whole, { ttl: 10 }, kept.log).content()).toEqual([])
  })

  test('takes over what was written without bounds, as if it had been touched when it first knows the time', () => {
    const unbounded = new Kept(whole, {})
    for (const key of [1, 2]) unbounded.take({ key, adds: 'x', late: 0 }, 0)
    unbounded.commit(0)
    const kept = new Kept(whole, { ttl: 10 }, unbounded.log)
    expect(kept.take({ key: 1, adds: 'y', late: 0 }, 100)).toBe('xy')
    kept.commit(105)
    expect(kept.content()).toEqual([
      [1, 'xy'],
      [2, 'x'],
    ])
    kept.commit(110)
    expect(kept.content()).toEqual([])
  })

  test.each<StoreBounds>([{ ttl: 0 }, { maxKeys: 0 }, { maxKeys: Number.NaN }])('refuses %o', (none) => {
    expect(() => new Kept(whole, none)).toThrow('its bounds leave no room for an entry')
  })
})
