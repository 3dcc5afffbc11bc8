import { bufferCount, count, delay, map, mergeMap, of, pairwise, pipe, scan, startWith, throwError } from 'rxjs'
import { test } from 'vitest'
import { rx } from '../../src/operators/rx.js'
import { marbles } from '../../src/testing/marbles.js'

const values = { a: 1, b: 2, c: 3 }

test(
  'runs any RxJS operator on values',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^------!'
    const expected = '      ---x-y-|'

    const stage = operator(
      rx(
        pipe(
          pairwise<number>(),
          map(([before, value]) => before + value),
        ),
      ),
    )
    expectRecords(source.pipe(stage)).toBe(expected, { x: 3, y: 5 })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'derives a result from the record that went in last, at completion from the last of the epoch',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const source = records('-a-b-c-|   ', values)
    const subs = '          ^------!   '
    const expected = '      ---x---(y|)'

    const offsets$ = source.pipe(
      operator(rx(bufferCount<number>(2))),
      map(({ value, origin }) => [value, origin.offset]),
    )
    expectObservable(offsets$).toBe(expected, { x: [[1, 2], 1], y: [[3], 2] })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'waits for what the operator still holds when the source completes',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a|  ', values)
    const subs = '          ^-!  '
    const expected = '      ----(a|)'

    expectRecords(source.pipe(operator(rx(delay<number>(3))))).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'leaves out results that come before the first record',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-|', values)
    const empty = records(' ---|')
    const subs = '          ^--!'
    const expected = '      -a-|'
    const nothing = '       ---|'

    expectRecords(source.pipe(operator(rx(startWith(0))))).toBe(expected, values)
    expectRecords(empty.pipe(operator(rx(count())))).toBe(nothing)
    expectSubscriptions(source.subscriptions).toBe(subs)
    expectSubscriptions(empty.subscriptions).toBe(subs)
  }),
)

test(
  'starts anew with each epoch',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a-b|', values)
    const first = '         ^--!'
    const second = '        -----^--!'
    const stage = operator(rx(scan((sum: number, value: number) => sum + value, 0)))

    expectRecords(source.pipe(stage)).toBe('         x-y|', { x: 1, y: 3 })
    expectRecords(source.pipe(stage), '-----^').toBe('-----x-y|', { x: 1, y: 3 })
    expectSubscriptions(source.subscriptions).toBe([first, second])
  }),
)

test(
  'ends the epoch with an error of the operator',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-|', values)
    const subs = '          ^--!  '
    const expected = '      -a-#  '

    const stage = operator(
      rx(mergeMap((value: number) => (value === 2 ? throwError(() => new Error('two')) : of(value)), 1)),
    )
    expectRecords(source.pipe(stage)).toBe(expected, values, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^---!   '
    const expected = '      ---a-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(rx(delay<number>(2)))), unsub).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
