import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { json } from '../../src/operators/json.js'
import { marbles } from '../../src/testing/marbles.js'

const View = z.object({ user: z.string(), page: z.object({ url: z.string() }), count: z.number().default(1) })
const view = { user: 'ann', page: { url: '/' } }

/** The messages with which a stage rejects values. */
function faults(stage: ReturnType<typeof json>, ...values: (Buffer | string | null)[]): string[] {
  const messages: string[] = []
  marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
    const letters = values.map((_, index) => 'abcdefgh'[index])
    const source = records(
      `(${letters.join('')}|)`,
      Object.fromEntries(values.map((value, index) => [letters[index], value])),
    )
    expectRecords(source.pipe(operator(stage))).toBe('|')
    expectSubscriptions(source.subscriptions).toBe('(^!)')
    flush()
    messages.push(...rejections.map(({ error }) => error.message))
    expectRejections(
      `(${letters.join('')})`,
      Object.fromEntries(rejections.map(({ error }, index) => [letters[index], error.code])),
    )
  })()
  return messages
}

describe('decoding', () => {
  test(
    'reads bytes and text',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('-a-b-|', { a: Buffer.from('{"n":"é\uFFFD"}'), b: '[1,2]' })
      const subs = '          ^----!'
      const expected = '      -x-y-|'

      expectRecords(source.pipe(operator(json()))).toBe(expected, { x: { n: 'é\uFFFD' }, y: [1, 2] })
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test(
    'sends what does not decode to the dead letters',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-b-c-|', { a: '1', b: '{"a":', c: '3' })
      const subs = '          ^------!'
      const expected = '      -x---z-|'
      const rejected = '      ---r'

      expectRecords(source.pipe(operator(json()))).toBe(expected, { x: 1, z: 3 })
      expectRejections(rejected, { r: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test('tells what is wrong, in a few words of the record', () => {
    const long = `{"a":"${'x'.repeat(500)}" oops}`
    const messages = faults(json(), '', '{"a":1 "b":2}', long, null, Buffer.from([0x22, 0xff, 0x22]))
    expect(messages).toEqual([
      'decoding JSON: Unexpected end of JSON input',
      expect.stringMatching(/^decoding JSON: .+ position 7/),
      expect.stringMatching(/^decoding JSON: .{1,100}$/),
      'decoding JSON: the value is null (a tombstone)',
      'decoding JSON: the bytes are no UTF-8',
    ])
  })

  test('refuses values that are decoded already', () => {
    expect(faults(json(), {} as string)).toEqual(['decoding JSON: expected bytes or text, got object'])
  })
})

describe('validating', () => {
  test(
    'passes on what the schema makes of a value',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('-a-|', { a: JSON.stringify({ ...view, more: true }) })
      const subs = '          ^--!'
      const expected = '      -x-|'

      expectRecords(source.pipe(operator(json(View)))).toBe(expected, { x: { ...view, count: 1 } })
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test('names every field that is wrong', () => {
    const [message] = faults(json(View), '{"user":1,"page":{}}')
    expect(message).toMatch(/^validating a record: user: .+; page\.url: .+/)
    const root: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({ issues: [{ message: 'no' }, { message: 'x', path: [{ key: 'a' }, 0] }] }),
      },
    }
    expect(faults(json(root), '1')).toEqual(['validating a record: no; a.0: x'])
  })

  test(
    'rejects what does not validate',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-b-|', { a: '{}', b: JSON.stringify(view) })
      const subs = '          ^----!'
      const expected = '      ---x-|'
      const rejected = '      -r'

      expectRecords(source.pipe(operator(json(View)))).toBe(expected, { x: { ...view, count: 1 } })
      expectRejections(rejected, { r: 'WEIR_RECORD_INVALID' })
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test.each([
    ['fail', '-#', '', '^!'],
    ['skip', '---|', '-r', '^--!'],
  ] as const)('by policy %s', (onError, expected, rejected, subs) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-|', { a: '{}' })
      expectRecords(source.pipe(operator(json(View, { onError })))).toBe(expected, {}, 'WEIR_RECORD_INVALID')
      expectRejections(rejected, { r: 'WEIR_RECORD_INVALID' })
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  })

  test(
    'takes a tombstone when the schema does, and else rejects it as malformed',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-|', { a: null })
      const subs = '          ^--!'

      expectRecords(source.pipe(operator(json(View.nullable())))).toBe('-a-|', { a: null })
      expectRecords(source.pipe(operator(json(View)))).toBe('           ---|')
      expectRejections('-r', { r: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe([subs, subs])
    }),
  )

  test(
    'stops the flow when the schema is asynchronous',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const validate = () => Promise.reject(new Error('nobody awaits this'))
      const Slow: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'test', validate } }
      const source = records('-a-|', { a: '"x"' })
      const subs = '          ^!'
      const expected = '      -#'

      expectRecords(source.pipe(operator(json(Slow)))).toBe(expected, {}, 'WEIR_CONFIG_INVALID')
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test('an option that is no schema is refused', () => {
    const { definition, options } = json({} as StandardSchemaV1)
    expect(definition.options.safeParse(options).error?.issues[0]?.message).toContain('Standard Schema')
  })
})

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-a-a-|', { a: '1' })
    const subs = '          ^---!   '
    const expected = '      -x-x-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(json())), unsub).toBe(expected, { x: 1 })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)
