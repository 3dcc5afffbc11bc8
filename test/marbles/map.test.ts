import { test } from 'vitest'
import { map } from '../../src/operators/map.js'
import { marbles } from '../../src/testing/marbles.js'

const double = (value: number) => {
  if (Number.isNaN(value)) throw new Error('no number')
  return value * 2
}

test(
  'makes another value of each value',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-(bc)-|', { a: 1, b: 2, c: 3 })
    const subs = '          ^-------!'
    const expected = '      -x-(yz)-|'
    expectRecords(source.pipe(operator(map(double)))).toBe(expected, { x: 2, y: 4, z: 6 })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
