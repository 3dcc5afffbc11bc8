import { from, take } from 'rxjs'
import { expect, test } from 'vitest'
import { flatMap } from '../../src/operators/flat-map.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

function* upTo(value: number) {
  for (let next = 1; next <= value; next++) {
    if (next === 3) throw new Error('three')
    yield next
  }
}
const values = { a: 0, b: 1, c: 2, d: 3, x: 1, y: 2 }

test(
  'makes none, one or many values of each value, in order',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a-b-c----|', values)
    const subs = '          ^--------!'
    const expected = '      --x-(xy)-|'

    expectRecords(source.pipe(operator(flatMap(upTo)))).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'derives each result from its record',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const record = testRecord('ab', { key: 'k', timestamp: 5, offset: 7 })
    const source = records('a---|', { a: record })
    const subs = '          ^---!'
    const expected = '      (xy)|'

    const stage = operator(flatMap((text: string) => new Set(text)))
    expectObservable(source.pipe(stage)).toBe(expected, { x: record.with('a'), y: record.with('b') })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'ends the epoch when its function throws',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-b-d-c-|', values)
    const subs = '          ^--!    '
    const expected = '      -x-#    '

    expectRecords(source.pipe(operator(flatMap(upTo)))).toBe(expected, values, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test.each(['dead-letter', 'skip'] as const)(
  'leaves none of the results of a record rejected halfway, by policy %s',
  (onError) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-b-d-c---|', values)
      const subs = '          ^--------!'
      const expected = '      -x---(xy)|'
      const rejected = '      ---r'

      expectRecords(source.pipe(operator(flatMap(upTo, { onError })))).toBe(expected, values)
      expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  },
)

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-b-b-b-|', values)
    const subs = '          ^---!   '
    const expected = '      -x-x-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(flatMap(upTo))), unsub).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'rejects a record that becomes endlessly many',
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const endless = function* (value: number) {
      if (value === 1) yield 1
      else for (;;) yield value
    }
    const source = records('-b-d-b---|', values)
    const subs = '          ^--------!'
    const expected = '      -x---x---|'
    const rejected = '      ---r'

    expectRecords(source.pipe(operator(flatMap(endless, { onError: 'dead-letter' })))).toBe(expected, values)
    expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test('stops a synchronous source when the stage after it has enough', () => {
  const asked: number[] = []
  marbles(({ operator, expectRecords }) => {
    const source = from([1, 1, 1, 1].map((value, offset) => testRecord(value, { offset })))
    const stage = operator(
      flatMap((value: number, { origin }) => {
        asked.push(origin.offset)
        return [value]
      }),
    )
    expectRecords(source.pipe(stage, take(2))).toBe('(xx|)', values)
  })()
  expect(asked).toEqual([0, 1])
})
