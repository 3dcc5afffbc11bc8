import { map as rxMap } from 'rxjs'
import { expect, test } from 'vitest'
import { map } from '../../src/operators/map.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

const double = (value: number) => {
  if (value === 0) throw new Error('zero has no double')
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

test(
  'keeps key, time, headers and origin, and hands the record to its function',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const record = testRecord(1, { key: 'k', timestamp: 5, headers: [{ h: '1' }], offset: 7, behindMs: 3 })
    const source = records('a|', { a: record })
    const subs = '          ^!'
    const expected = '      x|'

    const stage = operator(map((value: number, { key }) => `${key?.toString()}${value}`))
    expectObservable(source.pipe(stage)).toBe(expected, { x: record.with('k1') })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'ends the epoch when its function throws',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: 1, b: 0, c: 3 })
    const subs = '          ^--!    '
    const expected = '      -x-#    '

    expectRecords(source.pipe(operator(map(double)))).toBe(expected, { x: 2 }, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test.each(['dead-letter', 'skip'] as const)('rejects a record once and goes on, by policy %s', (onError) => {
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: 1, b: 0, c: 3 })
    const subs = '          ^------!'
    const expected = '      -x---z-|'
    const rejected = '      ---r'

    expectRecords(source.pipe(operator(map(double, { onError })))).toBe(expected, { x: 2, z: 6 })
    expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
})

test('hands a record that its policy refuses to the policy once', () => {
  const refused: unknown[] = []
  const refuse = (record: unknown, error: unknown): never => {
    refused.push(record)
    throw error
  }
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a|', { a: 0 })
    expectRecords(source.pipe(operator(map(double), { context: { reject: refuse } }))).toBe(
      '#',
      {},
      'WEIR_STAGE_FAILED',
    )
    expectSubscriptions(source.subscriptions).toBe('(^!)')
  })()
  expect(refused).toHaveLength(1)
})

test(
  'passes an error of its source on',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-#', { a: 1 }, 'broken')
    const subs = '          ^--!'
    const expected = '      -x-#'

    expectRecords(source.pipe(operator(map(double)))).toBe(expected, { x: 2 }, 'broken')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: 1, b: 2, c: 3 })
    const subs = '          ^---!   '
    const expected = '      -x-y-   '
    const unsub = '         ----!   '

    expectRecords(
      source.pipe(
        rxMap((record) => record),
        operator(map(double)),
      ),
      unsub,
    ).toBe(expected, { x: 2, y: 4 })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
