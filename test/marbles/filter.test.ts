import { test } from 'vitest'
import { filter } from '../../src/operators/filter.js'
import { marbles } from '../../src/testing/marbles.js'

const isEven = (value: number) => {
  if (Number.isNaN(value)) throw new Error('no number')
  return value % 2 === 0
}
const values = { a: 1, b: 2, c: Number.NaN, d: 4 }

test(
  'lets the records pass for which its predicate holds',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-a-d-|', values)
    const subs = '          ^--------!'
    const expected = '      ---b---d-|'

    expectRecords(source.pipe(operator(filter(isEven)))).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'can decide by the record',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-|', values)
    const subs = '          ^----!'
    const expected = '      ---b-|'

    expectRecords(source.pipe(operator(filter((_value, { origin }) => origin.offset === 1)))).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'ends the epoch when its predicate throws',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-b-c-d-|', values)
    const subs = '          ^--!    '
    const expected = '      -b-#    '

    expectRecords(source.pipe(operator(filter(isEven)))).toBe(expected, values, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test.each(['dead-letter', 'skip'] as const)('rejects a record and goes on, by policy %s', (onError) => {
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records('-b-c-d-|', values)
    const subs = '          ^------!'
    const expected = '      -b---d-|'
    const rejected = '      ---r'

    expectRecords(source.pipe(operator(filter(isEven, { onError })))).toBe(expected, values)
    expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
})

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-b-d-b-|', values)
    const subs = '          ^---!   '
    const expected = '      -b-d-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(filter(isEven))), unsub).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
