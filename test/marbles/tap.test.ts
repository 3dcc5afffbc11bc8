import { expect, test } from 'vitest'
import { tap } from '../../src/operators/tap.js'
import { marbles } from '../../src/testing/marbles.js'

const refuseZero = (value: number) => {
  if (value === 0) throw new Error('zero')
}
const values = { a: 1, b: 0, c: 3 }

test('sees each record before the next stage does, and lets it pass unchanged', () => {
  const seen: unknown[] = []
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^------!'
    const expected = '      -a-b-c-|'

    const stage = operator(tap((value: number, { origin }) => seen.push([value, origin.offset])))
    expectRecords(source.pipe(stage)).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
  expect(seen).toEqual([
    [1, 0],
    [0, 1],
    [3, 2],
  ])
})

test(
  'ends the epoch when its effect throws',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^--!    '
    const expected = '      -a-#    '

    expectRecords(source.pipe(operator(tap(refuseZero)))).toBe(expected, values, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test.each(['dead-letter', 'skip'] as const)('rejects a record and goes on, by policy %s', (onError) => {
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^------!'
    const expected = '      -a---c-|'
    const rejected = '      ---r'

    expectRecords(source.pipe(operator(tap(refuseZero, { onError })))).toBe(expected, values)
    expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
})

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-c-a-|', values)
    const subs = '          ^---!   '
    const expected = '      -a-c-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(tap(refuseZero))), unsub).toBe(expected, values)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
