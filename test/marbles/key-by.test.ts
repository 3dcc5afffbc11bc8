import { test } from 'vitest'
import { keyBy } from '../../src/operators/key-by.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

const first = (value: string) => {
  if (value === '') throw new Error('nothing to take a letter from')
  return value[0] as string
}

test(
  'gives each record the key of its value, and keeps the rest',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const record = testRecord('bob', { key: 'k', timestamp: 5, headers: [{ h: '1' }], offset: 7, behindMs: 3 })
    const source = records('-a|', { a: record })
    const subs = '          ^-!'
    const expected = '      -x|'

    expectObservable(source.pipe(operator(keyBy(first)))).toBe(expected, { x: record.keyed('b') })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'writes a number as text, and takes a key away',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const [one, none] = [testRecord(1), testRecord(0, { key: 'k' })]
    const source = records('(ab|)', { a: one, b: none })
    const stage = operator(keyBy((value: number) => (value === 0 ? null : value)))
    expectObservable(source.pipe(stage)).toBe('(xy|)', { x: one.keyed('1'), y: none.keyed(null) })
    expectSubscriptions(source.subscriptions).toBe('(^!)')
  }),
)

test(
  'ends the epoch when its function throws',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: 'ann', b: '', c: 'cyd' })
    const subs = '          ^--!    '
    const expected = '      -x-#    '

    expectRecords(source.pipe(operator(keyBy(first)))).toBe(expected, { x: 'ann' }, 'WEIR_STAGE_FAILED')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test.each(['dead-letter', 'skip'] as const)('rejects a record once and goes on, by policy %s', (onError) => {
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: 'ann', b: '', c: 'cyd' })
    const subs = '          ^------!'
    const expected = '      -x---z-|'
    const rejected = '      ---r'

    expectRecords(source.pipe(operator(keyBy(first, { onError })))).toBe(expected, { x: 'ann', z: 'cyd' })
    expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
})
