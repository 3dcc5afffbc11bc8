import { delay, of } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { sql } from '../../src/index.js'
import { UnencodableError, WeirError } from '../../src/model/index.js'
import { marbles } from '../../src/testing/index.js'
import { FakeDatabase, ServerError } from '../support/fake-database.js'

const rows = (...ids: number[]) => ids.map((id) => ({ id }))
const thrown = (what: unknown): never => {
  throw what as Error
}
const byValue = { values: (value: string) => [value] }

describe('sql', () => {
  test(
    'makes the rows the value, in the order of the records, one query after the other',
    marbles(({ operator, records, clock, expectRecords, expectSubscriptions }) => {
      const database = new FakeDatabase((_query, [value]) =>
        of(rows(value === 'a' ? 1 : 2)).pipe(delay(value === 'a' ? 3 : 1, clock.scheduler)),
      )
      const source = records('ab-|')
      const stage = operator(sql('db', 'SELECT id FROM t WHERE name = $1', byValue), database.context)
      expectRecords(source.pipe(stage)).toBe('---a(b|)', { a: rows(1), b: rows(2) })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    }),
  )

  test(
    'asks with the values of the record, and says how much it takes',
    marbles(({ operator, records, expectRecords, expectSubscriptions, flush }) => {
      const database = new FakeDatabase(() => [])
      const source = records('a|')
      const stage = operator(sql('db', 'SELECT $1', { ...byValue, maxRows: 5, maxBytes: 99 }), database.context)
      expectRecords(source.pipe(stage)).toBe('a|', { a: [] })
      expectSubscriptions(source.subscriptions).toBe('^!')
      flush()
      expect(database.asked).toEqual([{ query: 'SELECT $1', values: ['a'], limits: { maxRows: 5, maxBytes: 99 } }])
    }),
  )

  test.each([
    ['a parameter that is none', new ServerError('invalid input syntax', 'record'), 'WEIR_STAGE_FAILED'],
    ['a parameter that can not be sent', new UnencodableError(new TypeError('circular')), 'WEIR_STAGE_FAILED'],
    ['too many rows', new WeirError('WEIR_QUERY_TOO_LARGE', 'there are more than 5 rows'), 'WEIR_QUERY_TOO_LARGE'],
  ])('rejects the record with %s, and goes on', (_what, error, code) =>
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const database = new FakeDatabase((_query, [value]) => (value === 'b' ? error : rows(1)))
      const source = records('abc|')
      const stage = operator(sql('db', 'SELECT $1', { ...byValue, onError: 'skip' }), database.context)
      expectRecords(source.pipe(stage)).toBe('a-c|', { a: rows(1), c: rows(1) })
      expectRejections('-b', { b: code })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    })(),
  )

  test(
    'rejects a record of which `values` makes nothing',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('a|')
      const values = (value: string) => [(value as unknown as { name: { first: string } }).name.first]
      const stage = operator(sql('db', 'SELECT $1', { values, onError: 'skip' }), new FakeDatabase(() => []).context)
      expectRecords(source.pipe(stage)).toBe('-|')
      expectRejections('a', { a: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe('^!')
    }),
  )

  test.each([
    [
      'throws whatever',
      () => {
        throw new Error('no id')
      },
    ],
    ['throws a text', () => thrown('no id')],
    ['makes no list', () => 'ab'],
    ['makes a promise', () => Promise.resolve([])],
    ['makes a symbol', () => [Symbol('id')]],
    ['makes a function', () => [[() => 1]]],
    ['makes half of a surrogate pair', () => ['\uD800']],
  ])('rejects a record of which `values` %s, and asks nothing', (_what, made) =>
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions, flush }) => {
      const database = new FakeDatabase(() => [])
      const source = records('ab|')
      const values = (value: string) => (value === 'a' ? made() : ['b']) as never
      const stage = operator(sql('db', 'SELECT $1', { values, onError: 'skip' }), database.context)
      expectRecords(source.pipe(stage)).toBe('-b|', { b: [] })
      expectRejections('a', { a: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe('^-!')
      flush()
      expect(database.asked.map((one) => one.values)).toEqual([['b']])
    })(),
  )

  test.each([
    ['a lost connection', new Error('Connection terminated'), 'WEIR_QUERY_UNREACHABLE'],
    ['too many clients', new ServerError('sorry, too many clients already', 'system'), 'WEIR_QUERY_UNREACHABLE'],
    ['a wrong statement', new ServerError('relation "t" does not exist', 'setup'), 'WEIR_CONFIG_INVALID'],
  ])('ends the epoch with %s, whatever becomes of bad records', (_what, error, code) =>
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a-|')
      const stage = operator(sql('db', 'SELECT 1', { onError: 'skip' }), new FakeDatabase(() => error).context)
      expectRecords(source.pipe(stage)).toBe('#', {}, code)
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    })(),
  )
})
