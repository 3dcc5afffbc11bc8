import { concat, from, lastValueFrom, map, NEVER, type Observable, of, race, take, throwError, timer } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch, noHeaders, StreamRecord, type WeirError } from '../../src/model/index.js'

export interface Item {
  readonly id: number
  readonly text: string
}

/** A sink whose system can refuse a record. */
export interface RefusingSink extends SinkUnderTest {
  /** A value that it refuses, whatever its id. */
  readonly bad: Item
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

async function written(sink: SinkUnderTest): Promise<Item[]> {
  return [...(await sink.written())].sort((a, b) => a.id - b.id)
}

/** What every sink promises, and `more` of what it can do. `name` says which one it is. */
export function sinkContract<S extends SinkUnderTest>(name: string, start: () => Promise<S>, ...more: More<S>[]): void {
  describe(`sink: ${name}`, () => {
    let kind: S

    beforeAll(async () => {
      kind = await start()
    })
    beforeEach(() => kind.reset())
    afterAll(() => kind.close())

    test('an epoch completes when all that it wrote is there', async () => {
      await run(kind, recordsOf(items(7)))
      expect(await written(kind)).toEqual(items(7))
    })

    test('an epoch of nothing completes', async () => {
      await run(kind, recordsOf([]))
      expect(await written(kind)).toEqual([])
    })

    test('epochs follow each other', async () => {
      for (const first of [0, 10, 20]) await run(kind, recordsOf(items(10, first)))
      expect(await written(kind)).toEqual(items(30))
    })

    test('batches are unpacked, between single values too', async () => {
      const [single, last] = [items(1, 3)[0], items(1, 6)[0]]
      await run(kind, recordsOf([batchOf(items(3)), single, batchOf(items(2, 4)), batchOf([]), last]))
      expect(await written(kind)).toEqual(items(7))
    })

    test('records that come slowly are written as well', async () => {
      const slow$ = timer(0, 15).pipe(
        map((index) => recordOf({ id: index, text: `item ${index}` }, index)),
        take(6),
      )
      await run(kind, slow$)
      expect(await written(kind)).toEqual(items(6))
    })

    test('ten thousand records', async () => {
      await run(kind, recordsOf(items(10_000)))
      expect(await written(kind)).toEqual(items(10_000))
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
      await run(kind, recordsOf(odd))
      expect(await written(kind)).toEqual(odd)
    })

    test('the error of its source ends the epoch, as it is', async () => {
      const failure = new Error('upstream')
      const broken$ = concat(
        recordsOf(items(3)),
        throwError(() => failure),
      )
      await expect(run(kind, broken$)).rejects.toBe(failure)
    })

    test('an epoch that is left at any moment does not disturb the next', async () => {
      for (let time = 0; time < 8; time++) {
        const left$ = kind.epoch(concat(recordsOf(items(3_000, 100_000)), NEVER))
        await lastValueFrom(concat(race(left$, timer(time * 8)), of(undefined)))
      }
      // What was on its way may still arrive.
      await run(kind, recordsOf(items(5)))
      expect((await written(kind)).filter(({ id }) => id < 5)).toEqual(items(5))
    })

    for (const tests of more) tests(() => kind)
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

/** What a sink promises whose system can go away. */
export function outages(sink: () => SinkWithOutages): void {
  test('an outage ends the epoch with an error to retry, and is over when the system is back', async () => {
    const kind = sink()
    const { outage } = kind
    await run(kind, recordsOf(items(2)))
    await outage.begin()
    await expect(run(kind, recordsOf(items(2, 2)))).rejects.toMatchObject({ name: 'WeirError', remedy: 'retry' })
    await outage.end()
    await run(kind, recordsOf(items(2, 2)))
    expect(await written(kind)).toEqual(items(4))
    expect(kind.rejected).toEqual([])
  }, 60_000)
}
