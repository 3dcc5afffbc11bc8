import { of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { WeirError } from '../../src/model/index.js'
import { jsonSchema } from '../../src/operators/json-schema.js'
import { marbles } from '../../src/testing/marbles.js'
import { registryOf, wire } from '../support/registry.js'

const Shock = z.strictObject({ id: z.string(), depth: z.number().default(0) })
const registered = { type: 'JSON', schema: '{}' }

describe('jsonSchema.decode', () => {
  test(
    'asks for each id once, and validates',
    marbles(({ operator, records, cold, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('ab---c-d|', {
        a: wire(3, { id: 'a' }),
        b: wire(3, { id: 'b', depth: 2 }),
        c: wire(3, { depth: 2 }),
        d: wire(3, Buffer.from('{"id"')),
      })
      const answer = cold('   --(s|)   ', { s: registered })
      const expected = '      --(ab)--|'

      expectRecords(source.pipe(operator(jsonSchema.decode(Shock), registryOf({ schema: () => answer })))).toBe(
        expected,
        {
          a: { id: 'a', depth: 0 },
          b: { id: 'b', depth: 2 },
        },
      )
      expectRejections('-----c-d', { c: 'WEIR_RECORD_INVALID', d: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^-------!')
      expectSubscriptions(answer.subscriptions).toBe('^-!')
    }),
  )

  test.each([
    ['plain JSON', Buffer.from('{"id":"a"}')],
    ['less than a header', Buffer.from([0, 0, 0])],
    ['a tombstone', null],
    ['an Avro schema', wire(4, { id: 'a' })],
    ['an id that the registry does not know', wire(9, { id: 'a' })],
  ])('rejects %s', (_what, bad) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('ab|', { a: bad, b: wire(3, { id: 'b' }) })
      const schema = (id: number) =>
        id === 9
          ? throwError(() => new WeirError('WEIR_RECORD_MALFORMED', 'reading schema 9: none'))
          : of(id === 4 ? { type: 'AVRO', schema: '"string"' } : registered)
      expectRecords(source.pipe(operator(jsonSchema.decode(Shock), registryOf({ schema })))).toBe('-b|', {
        b: { id: 'b', depth: 0 },
      })
      expectRejections('a', { a: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^-!')
    })()
  })

  test(
    'a registry that can not be reached is no fault of a record',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a-|', { a: wire(3, { id: 'a' }) })
      const schema = () => throwError(() => new WeirError('WEIR_REGISTRY_UNREACHABLE', 'reading schema 3: refused'))
      const stage = operator(jsonSchema.decode(Shock), { ...registryOf({ schema }), onError: 'skip' })
      expectRecords(source.pipe(stage)).toBe('#', {}, 'WEIR_REGISTRY_UNREACHABLE')
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    }),
  )

  test(
    'without a registry reads plain JSON, and validates it all the same',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('abc|', { a: Buffer.from('{"id":"a"}'), b: '{"id":7}', c: wire(3, { id: 'c' }) })
      expectRecords(source.pipe(operator(jsonSchema.decode(Shock), registryOf()))).toBe('a--|', {
        a: { id: 'a', depth: 0 },
      })
      expectRejections('-bc', { b: 'WEIR_RECORD_INVALID', c: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    }),
  )
})

describe('jsonSchema.encode', () => {
  test(
    'registers its schema once, while the records wait in order',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab-----c|', { a: { id: 'a' }, b: { id: 'é' }, c: { id: 'c', depth: 1 } })
      const answer = cold('   ---(i|)  ', { i: 258 })
      const expected = '      ---(ab)c|'

      const stage = operator(jsonSchema.encode(Shock, { subject: 'shocks-value' }), registryOf({ id: () => answer }))
      expectRecords(source.pipe(stage)).toBe(expected, {
        a: wire(258, { id: 'a' }),
        b: wire(258, { id: 'é' }),
        c: wire(258, { id: 'c', depth: 1 }),
      })
      expectSubscriptions(source.subscriptions).toBe('^-------!')
      expectSubscriptions(answer.subscriptions).toBe('^--!')
    }),
  )

  test.each([true, false])('a value that does not fit ends the epoch (with a registry: %s)', (isNamed) => {
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('ab|', { a: { id: 'a' }, b: { id: 7 as never } })
      const stage = operator(jsonSchema.encode(Shock, { subject: 's' }), registryOf(isNamed ? {} : undefined))
      const a = isNamed ? wire(1, { id: 'a' }) : Buffer.from('{"id":"a"}')
      expectRecords(source.pipe(stage)).toBe('a#', { a }, 'WEIR_RECORD_INVALID')
      expectSubscriptions(source.subscriptions).toBe('^!')
    })()
  })

  test('a schema that can not be said as JSON Schema is a fault of the configuration', () => {
    const build = (schema: never) =>
      marbles(({ operator }) => void operator(jsonSchema.encode(schema, { subject: 's' }), registryOf({})))
    expect(build(z.bigint() as never)).toThrow('making a JSON Schema')
    expect(build({ '~standard': { validate: () => ({ value: 1 }) } } as never)).toThrow('can tell its JSON Schema')
  })
})
