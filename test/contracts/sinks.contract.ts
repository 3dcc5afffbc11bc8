import { setTimeout as sleep } from 'node:timers/promises'
import { concat, from, lastValueFrom, map, NEVER, type Observable, of, race, take, throwError, timer } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch, noHeaders, StreamRecord, type WeirError } from '../../src/model/index.js'
import type { TcpProxy } from '../servers/tcp-proxy.js'
import type { Rejecting } from './rejecting.js'

export interface Item {
  readonly id: number
  readonly text: string
}

/** A sink whose system can refuse a record. */
export interface RefusingSink extends SinkUnderTest {
  /** A value that it refuses, whatever its id. */
  readonly bad: Item
}

/** A sink that is given what nobody can write. */
export interface TriedSink extends RefusingSink {
  /** Values of which there can be no write, each for another reason. */
  readonly odd: Readonly<Record<string, unknown>>
  /** Takes care of what it rejects; begins anew with `reset`. */
  readonly rejecting: Rejecting
}

/** A sink that reaches its system by a way that can be held up. */
export interface HinderedSink extends SinkUnderTest {
  readonly way: Pick<TcpProxy, 'hold' | 'release' | 'cutAfter'>
}

/** A sink whose system can go away. */
export interface SinkWithOutages extends SinkUnderTest {
  readonly outage: { begin(): Promise<void>; end(): Promise<void> }
}

export interface Rejection {
  readonly record: StreamRecord
  readonly error: WeirError
}

/** A kind of sink with the system behind it, as the contract sees it. */
export interface SinkUnderTest {
  /** Empties the target; `rejected` starts anew. */
  reset(): Promise<void>
  /** One epoch and its commit, when subscribed; leaving it abandons the epoch. */
  epoch(records$: Observable<StreamRecord>): Observable<unknown>
  /** What reached the target, in any order. */
  written(): Promise<readonly Item[]>
  readonly rejected: readonly Rejection[]
  close(): Promise<void>
}

export function recordOf<V>(value: V, offset = 0): StreamRecord<V> {
  return new StreamRecord('key', value, 1_700_000_000_000, noHeaders, { topic: 'items', partition: 0, offset })
}

export function recordsOf<V>(values: readonly V[]): Observable<StreamRecord<V>> {
  return from(values.map(recordOf))
}

/** What `batch` makes of values; each member has an offset of its own. */
export function batchOf<V>(values: readonly V[], first = 0): Batch<V> {
  return new Batch(values.map((value, index) => recordOf(value, first + index)))
}

export function items(count: number, first = 0): Item[] {
  return Array.from({ length: count }, (_, index) => ({ id: first + index, text: `item ${first + index}` }))
}

/** More tests of a kind of sink, for `sinkContract`. */
type More<S> = (sink: () => S) => void

const run = (sink: SinkUnderTest, records$: Observable<StreamRecord>): Promise<unknown> =>
  lastValueFrom(sink.epoch(records$), { defaultValue: undefined })

/** Ids of epochs that are left begin here: what was on its way then may arrive whenever it likes. */
const left = 100_000

async function written(sink: SinkUnderTest): Promise<Item[]> {
  return (await sink.written()).filter(({ id }) => id < left).sort((a, b) => a.id - b.id)
}

/** What every sink promises, and `more` of what it can do. `name` says which one it is. */
export function sinkContract<S extends SinkUnderTest>(name: string, start: () => Promise<S>, ...more: More<S>[]): void {
  contract(name, start, [promises, ...more])
}

/** What a sink promises that is held up; a kind of sink passes `sinkContract` besides. */
export function heldUpContract(name: string, start: () => Promise<HinderedSink>): void {
  contract(`${name}, behind a way that is held up`, start, [hindrances])
}

function contract<S extends SinkUnderTest>(name: string, start: () => Promise<S>, tests: readonly More<S>[]): void {
  describe(`sink: ${name}`, () => {
    let kind: S

    beforeAll(async () => {
      kind = await start()
    })
    beforeEach(() => kind.reset())
    afterAll(() => kind.close())

    for (const more of tests) more(() => kind)
  })
}

function promises(sink: () => SinkUnderTest): void {
  test('an epoch completes when all that it wrote is there', async () => {
    await run(sink(), recordsOf(items(7)))
    expect(await written(sink())).toEqual(items(7))
  })

  test('an epoch of nothing completes', async () => {
    await run(sink(), recordsOf([]))
    expect(await written(sink())).toEqual([])
  })

  test('epochs follow each other', async () => {
    for (const first of [0, 10, 20]) await run(sink(), recordsOf(items(10, first)))
    expect(await written(sink())).toEqual(items(30))
  })

  test('batches are unpacked, between single values too', async () => {
    const [single, last] = [items(1, 3)[0], items(1, 6)[0]]
    await run(sink(), recordsOf([batchOf(items(3)), single, batchOf(items(2, 4)), batchOf([]), last]))
    expect(await written(sink())).toEqual(items(7))
  })

  test('records that come slowly are written as well', async () => {
    const slow$ = timer(0, 15).pipe(
      map((index) => recordOf({ id: index, text: `item ${index}` }, index)),
      take(6),
    )
    await run(sink(), slow$)
    expect(await written(sink())).toEqual(items(6))
  })

  test('ten thousand records', async () => {
    await run(sink(), recordsOf(items(10_000)))
    expect(await written(sink())).toEqual(items(10_000))
  })

  test('text survives as it is', async () => {
    const texts = [
      '',
      ' ',
      '\t\n\r\v',
      '\\',
      '\\N',
      '\\.',
      '"',
      "'",
      '{}',
      'NULL',
      'null',
      ',',
      '\u{1F9A6}é\u0301',
      '\u2028',
      '\uFEFFbom',
      '\u0001\u007F',
    ]
    const odd = texts.map((text, id) => ({ id, text }))
    await run(sink(), recordsOf(odd))
    expect(await written(sink())).toEqual(odd)
  })

  test('the error of its source ends the epoch, as it is', async () => {
    const failure = new Error('upstream')
    const broken$ = concat(
      recordsOf(items(3)),
      throwError(() => failure),
    )
    await expect(run(sink(), broken$)).rejects.toBe(failure)
  })

  test('an epoch that is left at any moment does not disturb the next', async () => {
    for (let time = 0; time < 8; time++) {
      const left$ = sink().epoch(concat(recordsOf(items(3_000, left)), NEVER))
      await lastValueFrom(concat(race(left$, timer(time * 8)), of(undefined)))
    }
    await run(sink(), recordsOf(items(5)))
    expect(await written(sink())).toEqual(items(5))
  })
}

/** What a sink promises whose system can refuse a record. */
export function refusals(sink: () => RefusingSink): void {
  test('a record that the system refuses is rejected, and all others are written', async () => {
    const kind = sink()
    const { bad } = kind
    const values = items(1_500)
    const badAt = [0, 700, 701, 1_499]
    await run(kind, recordsOf(values.map((value, index) => (badAt.includes(index) ? { ...bad, id: value.id } : value))))
    expect(await written(kind)).toEqual(values.filter((_, index) => !badAt.includes(index)))
    expect(kind.rejected.map(({ record }) => record.origin.offset).sort((a, b) => a - b)).toEqual(badAt)
    expect(new Set(kind.rejected.map(({ error }) => error.code))).toEqual(new Set(['WEIR_RECORD_REFUSED']))
  })

  test('of a batch only the refused value is rejected', async () => {
    const kind = sink()
    const { bad } = kind
    await run(kind, recordsOf([batchOf([...items(3), { ...bad, id: 3 }, ...items(2, 4)], 10)]))
    expect((await written(kind)).map(({ id }) => id)).toEqual([0, 1, 2, 4, 5])
    expect(kind.rejected.map(({ record }) => [record.value, record.origin.offset])).toEqual([[{ ...bad, id: 3 }, 13]])
  })

  test('an epoch of nothing but refused records completes', async () => {
    const kind = sink()
    const { bad } = kind
    await run(kind, recordsOf(items(5).map(({ id }) => ({ ...bad, id }))))
    expect(await written(kind)).toEqual([])
    expect(kind.rejected.length).toBe(5)
  })
}

const broken = (what: string): never => {
  throw new Error(`no ${what}`)
}
const circle: Record<string, unknown> = {}
circle['text'] = circle

/** Items that no sink can write as they are. */
export const oddItems: Readonly<Record<string, unknown>> = {
  'no item': null,
  'a field that throws': {
    get id() {
      return broken('id')
    },
  },
  'half of a surrogate pair': { id: 90, text: 'half \uD800' },
  'a function': { id: 91, text: () => 'text' },
  'a symbol': { id: 92, text: Symbol('text') },
  'what contains itself': { id: 93, text: circle },
  'a Map': { id: 94, text: new Map([['a', 1]]) },
  'a promise': { id: 95, text: Promise.resolve('text') },
  'no date': { id: 96, text: new Date(Number.NaN) },
  'what will not be JSON': { id: 97, text: { toJSON: () => broken('JSON') } },
}

/** What no table can keep that has 32 bits for its id, and a text. */
export const oddRows: Readonly<Record<string, unknown>> = {
  ...oddItems,
  'a number beyond its column': { id: 2 ** 40, text: '' },
  'no number': { id: Number.NaN, text: '' },
  'text for a number': { id: 'x', text: '' },
  'no key': { id: null, text: '' },
  'a column that there is not': { id: 81, text: '', more: 1 },
}

/** What a sink promises of what nobody can write. */
export function oddities(sink: () => TriedSink): void {
  const good = items(20)
  const badOf = (kind: TriedSink) => Object.entries(kind.odd).flatMap((odd) => Array<typeof odd>(10).fill(odd))
  const mixed = (bad: readonly (readonly [string, unknown])[]) => [
    ...good.slice(0, 10),
    ...bad.map(([, value]) => value),
    ...good.slice(10),
  ]

  test.each(['one by one', 'in a batch'])(
    'ten of each that can not be written, %s, are rejected, and no other',
    async (how) => {
      const kind = sink()
      const bad = badOf(kind)
      const values = mixed(bad)
      await run(kind, how === 'in a batch' ? recordsOf([batchOf(values)]) : recordsOf(values))
      const names = kind.rejected.map(({ record }) => bad[record.origin.offset - 10]?.[0])
      expect(names.sort()).toEqual(bad.map(([name]) => name).sort())
      expect(await written(kind)).toEqual(good)
      for (const { error } of kind.rejected) expect([error.culprit, error.code]).toEqual(['record', expect.any(String)])
    },
  )

  test.each(['dead-letter', 'skip'] as const)('by %s each such record is taken care of once', async (policy) => {
    const kind = sink()
    kind.rejecting.policy = policy
    const bad = badOf(kind)
    await run(kind, recordsOf(mixed(bad)))
    expect(await written(kind)).toEqual(good)
    expect(kind.rejected).toHaveLength(bad.length)
    const offsets = kind.rejecting.letters.map(({ record }) => record.origin.offset).sort((a, b) => a - b)
    expect(offsets).toEqual(policy === 'skip' ? [] : bad.map((_, index) => 10 + index))
  })

  test('where such a record is to fail, its error ends the epoch, and the next one is written', async () => {
    const kind = sink()
    kind.rejecting.policy = 'fail'
    const [, value] = badOf(kind)[0] as [string, unknown]
    await expect(run(kind, recordsOf([...items(3), value]))).rejects.toMatchObject({ culprit: 'record' })
    await run(kind, recordsOf(items(3, 10)))
    expect((await written(kind)).filter(({ id }) => id >= 10)).toEqual(items(3, 10))
  })
}

/** What a sink promises whose way to its system is held up: late answers, half a request, no answer at all. */
function hindrances(sink: () => HinderedSink): void {
  const ids = async (kind: SinkUnderTest) => new Set((await written(kind)).map(({ id }) => id))
  const all = (count: number) => new Set(items(count).map(({ id }) => id))

  test('answers that come late are waited for', async () => {
    const kind = sink()
    kind.way.hold()
    const epoch = run(kind, recordsOf(items(50)))
    await sleep(400)
    kind.way.release()
    await epoch
    expect(await ids(kind)).toEqual(all(50))
    expect(kind.rejected).toEqual([])
  })

  test.each([1, 700, 9_000])('a connection that is cut %d bytes into an epoch costs no record', async (bytes) => {
    const kind = sink()
    kind.way.cutAfter(bytes)
    await untilWritten(kind, items(500))
    expect(await ids(kind)).toEqual(all(500))
    expect(kind.rejected).toEqual([])
  })

  test('a system that never answers ends the epoch with an error to retry, and takes it when it answers again', async () => {
    const kind = sink()
    await run(kind, recordsOf(items(5)))
    kind.way.hold()
    try {
      await expect(run(kind, recordsOf(items(50)))).rejects.toMatchObject({ remedy: 'retry', culprit: 'system' })
    } finally {
      kind.way.release()
    }
    await untilWritten(kind, items(50))
    expect(await ids(kind)).toEqual(all(50))
    expect(kind.rejected).toEqual([])
  })
}

/** Tries an epoch again as a flow would: whatever fails is the system's fault. */
async function untilWritten(kind: SinkUnderTest, values: readonly Item[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await run(kind, recordsOf(values))
      return
    } catch (error) {
      expect(error).toMatchObject({ remedy: 'retry', culprit: 'system' })
      if (tries === 20) throw error
      await sleep(100 * tries)
    }
  }
}

/** What a sink promises whose system can go away. */
export function outages(sink: () => SinkWithOutages): void {
  test('an outage ends the epoch with an error to retry, and is over when the system is back', async () => {
    const kind = sink()
    const { outage } = kind
    await run(kind, recordsOf(items(2)))
    await outage.begin()
    await expect(run(kind, recordsOf(items(2, 2)))).rejects.toMatchObject({ name: 'WeirError', remedy: 'retry' })
    await outage.end()
    await untilWritten(kind, items(2, 2))
    expect(await written(kind)).toEqual(items(4))
    expect(kind.rejected).toEqual([])
  })
}
