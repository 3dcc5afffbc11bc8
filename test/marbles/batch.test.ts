import { expect, test } from 'vitest'
import { Batch } from '../../src/model/index.js'
import { batch } from '../../src/operators/batch.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

const values = { a: 1, b: 2, c: 3, d: 4 }
const batches = { x: [1, 2], y: [3, 4], z: [3], w: [1], v: [2, 3] }

test(
  'gathers records until the batch is full, and flushes the rest at completion',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|   ', values)
    const subs = '          ^------!   '
    const expected = '      ---x---(z|)'

    expectRecords(source.pipe(operator(batch({ size: 2 })))).toBe(expected, batches)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'emits no empty batch',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b----|', values)
    const subs = '          ^-------!'
    const expected = '      ---x----|'

    expectRecords(source.pipe(operator(batch({ size: 2, every: 2 })))).toBe(expected, batches)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'derives a batch from its last record, and keeps them all',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const [a, b] = [testRecord(1, { key: 'a', offset: 4 }), testRecord(2, { key: 'b', timestamp: 9, offset: 5 })]
    const source = records('a-b|', { a, b })
    const subs = '          ^--!'
    const expected = '      --x|'

    expectObservable(source.pipe(operator(batch({ size: 2 })))).toBe(expected, { x: b?.with(new Batch([a, b])) })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'lets the first value of a batch wait no longer than `every`',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a----b-c---d|', values)
    const subs = '          ^-----------!'
    const expected = '      ---w----v---(u|)'

    expectRecords(source.pipe(operator(batch({ size: 9, every: 3 })))).toBe(expected, { ...batches, u: [4] })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'counts `every` anew after a full batch',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a-bc------|', values)
    const subs = '          ^---------!'
    const expected = '      --x---z---|'

    expectRecords(source.pipe(operator(batch({ size: 2, every: 3 })))).toBe(expected, batches)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'holds no more than `bytes`, except for a single larger value',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a-b-c-d-e-|', { a: 'xx', b: 'x', c: 'xxxxx', d: 'xx', e: 'xx' })
    const subs = '          ^---------!'
    const expected = '      ----(pq)r-|'

    const stage = operator(batch<string>({ size: 9, bytes: 4, bytesOf: (text) => text.length }))
    expectRecords(source.pipe(stage)).toBe(expected, { p: ['xx', 'x'], q: ['xxxxx'], r: ['xx', 'xx'] })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'takes the bytes that the source read for the size of a value',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const of = (value: number, bytes: unknown) =>
      testRecord(value, { origin: { topic: 'test', partition: 0, offset: value, value: bytes } })
    const source = records('a-b-c-d|', {
      a: of(1, Buffer.alloc(4)),
      b: of(2, 'four'),
      c: of(3, { decoded: true }),
      d: of(4, null),
    })
    const subs = '          ^------!'
    const expected = '      --x----(y|)'

    expectRecords(source.pipe(operator(batch({ size: 9, bytes: 8 })))).toBe(expected, batches)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'passes an error of its source on, and drops what the replay brings again',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('a-#', values, 'broken')
    const subs = '          ^-!'
    const expected = '      --#'

    expectRecords(source.pipe(operator(batch({ size: 2, every: 9 })))).toBe(expected, {}, 'broken')
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'leaves its source and its timer when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-b-c-|', values)
    const subs = '          ^-----! '
    const expected = '      ---x--- '
    const unsub = '         ------! '

    expectRecords(source.pipe(operator(batch({ size: 2, every: 9 }))), unsub).toBe(expected, batches)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test('an empty batch size is refused', () => {
  const { definition, options } = batch({ size: 0 })
  expect(definition.options.safeParse(options).error?.issues[0]?.path).toEqual(['size'])
})
