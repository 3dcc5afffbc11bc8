import cassandra from 'cassandra-driver'
import { expect, test } from 'vitest'
import { encode } from '../../src/cassandra/encode.js'

const { types } = cassandra
const { decimal, date, time } = types.dataTypes
const encoded = (value: unknown, type: number) => encode(value, { name: 'c', type }, types)

test.each<[unknown, string]>([
  [0, '0'],
  ['-12.340', '-12.340'],
  [1e21, '1000000000000000000000'],
  ['1.5e2', '150'],
  ['1.25e1', '12.5'],
  [1.5e-7, '0.00000015'],
  ['-12e-1', '-1.2'],
  [9_007_199_254_740_993n, '9007199254740993'],
])('the decimal %s is written in plain digits', (value, text) => {
  expect(encoded(value, decimal)).toBe(text)
})

test.each([
  ['x', decimal],
  ['', decimal],
  [Number.NaN, decimal],
  ['1e99999', decimal],
  ['2024-02-30', date],
  ['today', date],
  ['noon', time],
  ['7:00', time],
])('%s is refused, for the driver would write something else', (value, type) => {
  expect(() => encoded(value, type)).toThrow(/is no/)
})

test('days and times of day are those of a date, in UTC', () => {
  const instant = new Date('2024-03-10T23:30:00.789Z')
  expect([encoded(instant, date), encoded(instant, time)]).toEqual(['2024-03-10', '23:30:00.789'])
})
