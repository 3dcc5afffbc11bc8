import { of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { WeirError } from '../../src/model/index.js'
import { validate } from '../../src/operators/validate.js'
import { marbles } from '../../src/testing/marbles.js'
import { schemasOf, versions } from '../support/event-schemas.js'

const event = { eventType: { type: 'string' }, userId: { type: 'integer' } }
const first = { type: 'object', properties: event, required: ['userId'], additionalProperties: false }
const second = {
  type: 'object',
  properties: { ...event, plan: { enum: ['free', 'paid'], default: 'free' } },
  required: ['userId', 'plan'],
  additionalProperties: false,
}
const signup = versions(first, second)
const old = { eventType: 'signup', userId: 1 }
const young = { eventType: 'signup', userId: 2, plan: 'paid' }

describe('validate', () => {
  test(
    'lets through what the newest version takes, with the defaults of what is required',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('ab-|', { a: old, b: young })
      const expected = '      ab-|'
      expectRecords(source.pipe(operator(validate(), schemasOf({ signup })))).toBe(expected, {
        a: { ...old, plan: 'free' },
        b: young,
      })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    }),
  )

  test(
    'goes by the version that an event says, and by the newest that fits where it says none',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const stage = validate({ type: () => 'signup', version: (event: { v?: unknown }) => event.v })
      const loose = versions({ ...first, properties: { ...event, v: true, of: true } }, { required: ['plan'] })
      const values = {
        a: { v: 1, userId: 1 },
        b: { v: 'v2', userId: 1 },
        c: { v: undefined, userId: 1 },
        d: { v: null, userId: 1, plan: 'x' },
        e: { v: 3, userId: 1 },
        f: { v: 'new', userId: 1 },
      }
      const source = records<{ v?: unknown }>('abcdef|', values)
      const kept = source.pipe(operator(stage, { ...schemasOf({ signup: loose }), onError: 'dead-letter' }))
      expectRecords(kept).toBe('a-cd--|', values)
      expectRejections('-b--ef', {
        b: 'WEIR_RECORD_INVALID',
        e: 'WEIR_RECORD_NO_SCHEMA',
        f: 'WEIR_RECORD_NO_SCHEMA',
      })
      expectSubscriptions(source.subscriptions).toBe('^-----!')
    }),
  )

  test(
    'rejects what does not fit with every fault and its path, of the newest version',
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('a|', { a: { eventType: 'signup', userId: 'x', plan: 'none', more: 1 } })
      const stage = operator(validate(), { ...schemasOf({ signup }), onError: 'dead-letter' })
      expectRecords(source.pipe(stage)).toBe('-|', {})
      expectRejections('a', { a: 'WEIR_RECORD_INVALID' })
      expectSubscriptions(source.subscriptions).toBe('^!')
      flush()
      expect(rejections[0]?.error.message).toBe(
        `validating an event of type 'signup' by v2: more: is not allowed; userId: must be integer; plan: must be one of ["free","paid"]`,
      )
    }),
  )

  test(
    'rejects what has no type, or one that nobody knows',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('abc|', { a: { userId: 1 }, b: { event_type: 'other' }, c: 'text' })
      const stage = operator(validate(), { ...schemasOf({ signup }), onError: 'dead-letter' })
      expectRecords(source.pipe(stage)).toBe('---|', {})
      const code = 'WEIR_RECORD_NO_SCHEMA'
      expectRejections('abc', { a: code, b: code, c: code })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    }),
  )

  test(
    'asks for versions that it does not know yet, while the records behind wait in order',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab--|', { a: old, b: young })
      const newer = cold('    --(s|)', { s: signup })
      const expected = '      --a-(b|)'
      const stage = operator(
        validate({ onError: 'fail' }),
        schemasOf({ signup: versions(false) }, () => newer),
      )
      expectRecords(source.pipe(stage)).toBe(expected, { a: { ...old, plan: 'free' }, b: young })
      expectSubscriptions(newer.subscriptions).toBe(['^-!', '--^-!'])
      expectSubscriptions(source.subscriptions).toBe('^---!')
    }),
  )

  test(
    'a registry that can not be reached is no fault of a record',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a-|', { a: old })
      const away = () => throwError(() => new WeirError('WEIR_REGISTRY_UNREACHABLE', 'listing: refused'))
      const stage = operator(validate(), { ...schemasOf({}, away), onError: 'skip' })
      expectRecords(source.pipe(stage)).toBe('#', {}, 'WEIR_REGISTRY_UNREACHABLE')
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    }),
  )

  test(
    'a selector that throws rejects its record',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('a|', { a: old })
      const type = () => {
        throw new Error('no')
      }
      const stage = operator(validate({ type }), { ...schemasOf({ signup }, () => of(signup)), onError: 'skip' })
      expectRecords(source.pipe(stage)).toBe('-|', {})
      expectRejections('a', { a: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe('^!')
    }),
  )
})
