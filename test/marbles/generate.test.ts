import { concat, concatMap, map, NEVER, type Observable, of, tap, toArray } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  type Clock,
  type Epoch,
  type SourceContext,
  type SourceTask,
  type StreamRecord,
  systemClock,
  type WeirError,
} from '../../src/model/index.js'
import { poisson } from '../../src/sources/generate/arrivals.js'
import { generate, generateDefinition } from '../../src/sources/generate.js'
import { type MarbleHelpers, marbles } from '../../src/testing/marbles.js'

const notMade = (): never => {
  throw new Error('not made')
}
const indexOf = (_random: () => number, index: number) => index
const partition = { topic: 'generate:numbers', partition: 0 }

function task(options: object, clock: Clock, reject?: SourceContext['reject']): SourceTask {
  const context = { stage: 'numbers', clock, reject } as SourceContext
  return generateDefinition.build(generateDefinition.options.parse({ value: indexOf, ...options }), context)
}

function epoch(records: number, cut$: Observable<unknown> = NEVER): Epoch {
  let left = records
  return { number: 1, room: () => left, take: (taken) => void (left -= taken), cut$ }
}

/** Starts a task as the engine does, and reads one epoch after the other. */
function read(source: SourceTask, epochs: readonly Epoch[], from?: number): Observable<StreamRecord> {
  return source.assignments$.pipe(
    concatMap((change) => {
      if (change.kind !== 'assigned') return NEVER
      const start$ = change.start(from === undefined ? [] : [{ ...partition, offset: from }])
      return concat(start$, ...epochs.map((each) => source.read(each)), NEVER)
    }),
  )
}

const values = { a: 0, b: 1, c: 2, d: 3, e: 4 }

describe('pace', () => {
  test('what is due, by Poisson arrivals, is how many have come', () => {
    const arrivals = poisson(1_000, 1)
    for (const index of [0, 1, 1_000, 1_023, 1_024, 5_000, 2]) {
      expect(arrivals.countBy(arrivals.at(index))).toBe(index + 1)
      expect(arrivals.countBy(arrivals.at(index + 1) - 1e-9)).toBe(index + 1)
    }
    expect(arrivals.countBy(-1)).toBe(0)
  })

  test.each(['steady', 'poisson'] as const)('nothing is due before the start (%s)', (arrivals) => {
    const ends: unknown[] = []
    void task({ rate: 1_000, arrivals }, systemClock)
      .ends()
      .forEach((each) => ends.push(each))
    expect(ends).toEqual([[{ ...partition, offset: 0, end: 0 }]])
  })

  test(
    'event n is due n / rate seconds after the start',
    marbles(({ clock, expectRecords }) => {
      const source = task({ rate: 500 }, clock)
      expectRecords(read(source, [epoch(100)]), '--------!').toBe('a-b-c-d-', values)
    }),
  )

  test(
    'what is due at once is emitted at once, as much as the epoch takes',
    marbles(({ clock, expectRecords }) => {
      const source = task({ rate: 1_000, start: -3 }, clock)
      expectRecords(read(source, [epoch(2), epoch(2)]), '--!').toBe('(abcd)', values)
    }),
  )

  test(
    'an epoch that begins late is caught up with',
    marbles(({ clock, cold, expectRecords, expectSubscriptions }) => {
      const source = task({ rate: 1_000 }, clock)
      const pause = cold('---|')
      const late$ = read(source, [epoch(1)]).pipe(concatMap((record, index) => (index === 0 ? [record] : NEVER)))
      expectRecords(late$, '---!').toBe('a', values)
      expectRecords(concat(pause as unknown as typeof late$, source.read(epoch(3))), '----!').toBe('---(bcd|)', values)
      expectSubscriptions(pause.subscriptions).toBe('^--!')
    }),
  )

  test.each([-3_600_000, 3_600_000])('goes on when the wall clock is set by %i ms', (jump) =>
    marbles(({ clock, expectRecords }) => {
      const source = task({ rate: 500 }, clock)
      const jumping$ = read(source, [epoch(100)]).pipe(
        tap(({ value }) => {
          if (value === 1) clock.jump(jump)
        }),
      )
      expectRecords(jumping$, '--------!').toBe('a-b-c-d-', values)
    })(),
  )

  test('never drifts, whatever the timer can resolve', () => {
    const times: number[] = []
    marbles(({ clock, expectObservable }) => {
      const source = task({ rate: 700, count: 2_101 }, clock)
      const times$ = read(source, [epoch(2_101)]).pipe(map(({ timestamp }) => void times.push(clock.now() - timestamp)))
      expectObservable(times$.pipe(toArray()), '4s !').toBe('')
    })()
    expect(times).toHaveLength(2_101)
    expect(Math.max(...times)).toBeLessThanOrEqual(1)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0)
  })
})

describe('epochs', () => {
  test(
    'complete when they are full, and when they are cut',
    marbles(({ clock, cold, expectRecords, expectSubscriptions }) => {
      const source = task({ rate: 500 }, clock)
      const cut = cold('---x')
      expectRecords(read(source, [epoch(1), epoch(9, cut)]), '-----!').toBe('a-b', values)
      expectSubscriptions(cut.subscriptions).toBe('^--!')
    }),
  )

  test(
    'that are cut before they begin emit nothing',
    marbles(({ clock, expectRecords }) => {
      expectRecords(task({ rate: 500 }, clock).read(epoch(9, of('cut')))).toBe('|')
    }),
  )

  test(
    'last until they are cut after the last event',
    marbles(({ clock, cold, expectRecords, expectObservable, expectSubscriptions }) => {
      const source = task({ rate: 1_000, count: 2 }, clock)
      const cut = cold('----x')
      expectRecords(read(source, [epoch(9, cut)]), '---- -!').toBe('ab', values)
      const later = cold('-----(x|)')
      expectObservable(later.pipe(concatMap(() => source.ends()))).toBe('-----(x|)', {
        x: [{ ...partition, offset: 2, end: 2 }],
      })
      expectSubscriptions(later.subscriptions).toBe('^----!')
      expectSubscriptions(cut.subscriptions).toBe('^---!')
    }),
  )
})

describe('replay', () => {
  const random = (next: () => number, index: number) => [index, next(), next()]
  const made = (options: object, count: number, from?: number): StreamRecord[] => {
    const records: StreamRecord[] = []
    marbles(({ clock, expectObservable }: MarbleHelpers) => {
      const source = task({ rate: 1_000, start: -1_000, value: random, ...options }, clock)
      expectObservable(read(source, [epoch(count)], from).pipe(map((record) => void records.push(record))), '-!').toBe(
        count > 0 ? `(${'x'.repeat(count)})` : '',
        { x: undefined },
      )
    })()
    return records
  }

  test('makes the same events again, from any position on', () => {
    const first = made({}, 20)
    expect(made({}, 5, 15)).toEqual(first.slice(15))
    expect(first.map(({ origin }) => origin.offset)).toEqual(Array.from({ length: 20 }, (_, index) => index))
    expect(first.map(({ timestamp }) => timestamp)).toEqual(Array.from({ length: 20 }, (_, index) => index - 1_000))
  })

  test('makes other events of another seed', () => {
    const valuesOf = (seed: number) => made({ seed }, 3).map(({ value }) => value)
    expect(valuesOf(2)).not.toEqual(valuesOf(3))
    expect(valuesOf(2)).toEqual(valuesOf(2))
  })

  test('random numbers are spread evenly, over the events and within one', () => {
    const numbers = made({}, 1_000).map(({ value }) => value as [number, number, number])
    for (const place of [1, 2] as const) {
      const tenths = Array.from({ length: 10 }, () => 0)
      for (const each of numbers) tenths[Math.floor(each[place] * 10)]!++
      expect(Math.min(...tenths)).toBeGreaterThan(65)
      expect(Math.max(...tenths)).toBeLessThan(140)
    }
    expect(new Set(numbers.map(([, first]) => first)).size).toBe(1_000)
  })

  test.each([
    ['value', { value: (_: unknown, index: number) => (index % 2 === 1 ? notMade() : index) }],
    ['key', { key: (index: number) => (index % 2 === 1 ? Symbol('no key') : index) }],
  ])('an event of which `%s` makes nothing is rejected by itself, once, and the others come', (_, options) => {
    const rejected: [number, string][] = []
    const reject = (record: StreamRecord, error: unknown) =>
      void rejected.push([record.origin.offset, (error as WeirError).code])
    const come: number[] = []
    const source = task({ rate: 1_000, count: 5, start: 0, ...options }, systemClock, reject)
    read(source, [epoch(5)]).subscribe(({ origin }) => come.push(origin.offset))
    expect(come).toEqual([0, 2, 4])
    expect(rejected).toEqual([1, 3].map((offset) => [offset, 'WEIR_STAGE_FAILED']))
    expect(source.positions()).toEqual([{ ...partition, offset: 5 }])
  })

  test('keys events, when it is told how', () => {
    const keys = made({ key: ([index]: readonly number[]) => `sensor-${index! % 2}` }, 3).map((record) => record.key)
    expect(keys).toEqual(['sensor-0', 'sensor-1', 'sensor-0'])
    expect(made({}, 1)[0]?.key).toBeNull()
  })

  test('Poisson arrivals are the same again, from any position on, and of the rate in the mean', () => {
    const poisson = {
      arrivals: 'poisson',
      rate: 100_000,
      value: (_: unknown, index: number, afterMs: number) => [index, afterMs],
    }
    const times = (count: number, from?: number) =>
      made(poisson, count, from).map(({ value }) => (value as [number, number])[1])
    const first = times(5_000)
    // Across the blocks in which they are made, too.
    expect(times(3, 1_023)).toEqual(first.slice(1_023, 1_026))
    expect(times(3, 4_096)).toEqual(first.slice(4_096, 4_099))
    const gaps = first.slice(1).map((at, index) => at - first[index]!)
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    expect(mean).toBeGreaterThan(0.0095)
    expect(mean).toBeLessThan(0.0105)
    // Of an exponential distribution as much is longer than the mean as 1 / e.
    const longer = gaps.filter((gap) => gap > 0.01).length / gaps.length
    expect(longer).toBeGreaterThan(0.34)
    expect(longer).toBeLessThan(0.4)
    expect(times(3)).not.toEqual(made({ ...poisson, seed: 2 }, 3).map(({ value }) => (value as [number, number])[1]))
  })

  test(
    'goes back when it is told to',
    marbles(({ clock, expectRecords }) => {
      const source = task({ rate: 1_000 }, clock)
      const rewound$ = concat(
        source.read(epoch(3)),
        source.rewind([{ ...partition, offset: 1 }], undefined),
        source.read(epoch(2)),
      )
      expectRecords(rewound$).toBe('ab(cbc|)', values)
      expect(source.positions()).toEqual([{ ...partition, offset: 0 }])
    }),
  )

  test(
    'tells how many events are due',
    marbles(({ clock, expectObservable }) => {
      const source = task({ rate: 1_000, start: -9, count: 7 }, clock)
      const ends$ = read(source, [epoch(3)]).pipe(concatMap(() => source.ends()))
      expectObservable(ends$, '-!').toBe('(xyz)', {
        x: [{ ...partition, offset: 1, end: 7 }],
        y: [{ ...partition, offset: 2, end: 7 }],
        z: [{ ...partition, offset: 3, end: 7 }],
      })
    }),
  )
})

test('its options are declared as given', () => {
  const declared = generate({ rate: 5, value: () => 'x' })
  expect(declared.definition.detail?.({ rate: 5 })).toBe('5/s')
  expect(generateDefinition.options.safeParse({ rate: 0, value: indexOf }).error?.issues[0]?.path).toEqual(['rate'])
})
