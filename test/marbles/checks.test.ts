import { delay, map, of } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  accepted,
  type Check,
  type CheckResult,
  checks,
  consoleSink,
  custom,
  env,
  flow,
  fresh,
  generate,
  notNull,
  reference,
  unique,
  volume,
} from '../../src/index.js'
import type { MetricReading } from '../../src/model/index.js'
import { marbles, testRecord } from '../../src/testing/index.js'
import { compiled, config, faultsOf } from '../support/compiling.js'
import { FakeDatabase, ServerError } from '../support/fake-database.js'

const table = 'shop.orders'
const run = testRecord({}, { timestamp: Date.UTC(2026, 0, 1) })
const at = '2026-01-01T00:00:00.000Z'
const one = (value: unknown) => [{ count: value }]
const number = (limits: Omit<Parameters<typeof custom>[0], 'query'>) =>
  custom({ query: 'SELECT n', what: 'n', ...limits })

const result = (status: CheckResult['status'], more: Partial<CheckResult> = {}): CheckResult => ({
  check: 'it',
  kind: 'custom',
  status,
  severity: null,
  value: null,
  message: '',
  at,
  durationMs: 0,
  ...more,
})

describe('a check', () => {
  const cases: [string, Check, unknown, Partial<CheckResult>][] = [
    ['within its limit', number({ error: 5 }), '5', { status: 'passed', value: 5, message: '5 n' }],
    [
      'beyond its limit',
      number({ error: 5 }),
      '6',
      { status: 'failed', severity: 'error', value: 6, message: '6 n: at most 5 may be' },
    ],
    [
      'beyond that of a warning alone',
      number({ warn: 1, error: 5 }),
      2,
      { status: 'failed', severity: 'warn', value: 2, message: '2 n: at most 1 may be' },
    ],
    [
      'below the least',
      number({ error: { min: 1, max: 9 } }),
      0,
      { status: 'failed', severity: 'error', value: 0, message: '0 n: at least 1, at most 9 may be' },
    ],
    ['of nothing', number({ error: 5 }), null, { status: 'skipped', message: 'nothing to judge: n' }],
    [
      'of what is no number',
      number({ error: 5 }),
      'many',
      { status: 'errored', severity: 'error', message: 'the query gives "many", which is no number' },
    ],
    [
      'of a fraction',
      number({ error: 0.5 }),
      '0.70000001',
      { status: 'failed', severity: 'error', value: 0.70000001, message: '0.7 n: at most 0.5 may be' },
    ],
  ]
  test.each(cases)('%s', (_what, check, value, expected) =>
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a|', { a: run })
      const stage = operator(checks('db', { it: check }), new FakeDatabase(() => one(value)).context)
      expectRecords(source.pipe(stage)).toBe('a|', { a: result('passed', expected) })
      expectSubscriptions(source.subscriptions).toBe('^!')
    })(),
  )

  test(
    'that gives no row has nothing to judge',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a|', { a: run })
      const stage = operator(checks('db', { it: number({ error: 5 }) }), new FakeDatabase(() => []).context)
      expectRecords(source.pipe(stage)).toBe('a|', { a: result('skipped', { message: 'nothing to judge: n' }) })
      expectSubscriptions(source.subscriptions).toBe('^!')
    }),
  )
})

describe('the checks of a run', () => {
  const three = { first: number({ error: 1 }), second: number({ error: 1 }), third: number({ error: 1 }) }
  const passed = (check: string, durationMs: number) =>
    result('passed', { check, value: 0, message: '0 n', durationMs })

  test(
    'are made one after the other, and each result tells how long it took and when the run was',
    marbles(({ operator, records, clock, expectRecords, expectSubscriptions }) => {
      const source = records('a|', { a: run })
      const database = new FakeDatabase(() => of(one(0)).pipe(delay(2, clock.scheduler)))
      expectRecords(source.pipe(operator(checks('db', three), database.context))).toBe('--a-b-(c|)', {
        a: passed('first', 2),
        b: passed('second', 2),
        c: passed('third', 2),
      })
      expectSubscriptions(source.subscriptions).toBe('^!')
    }),
  )

  test.each([
    ['a wrong statement', new ServerError('column "n" does not exist', 'setup')],
    ['a division by zero', new ServerError('division by zero', 'record')],
    ['a statement that took too long', new ServerError('canceling statement due to statement timeout', 'system')],
  ])('go on behind one that errored for %s', (_what, error) =>
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      let asked = 0
      const source = records('a----|', { a: run })
      const database = new FakeDatabase(() => (++asked === 2 ? error : one(0)))
      expectRecords(source.pipe(operator(checks('db', three), database.context))).toBe('(abc)|', {
        a: passed('first', 0),
        b: result('errored', {
          check: 'second',
          severity: 'error',
          message: `asking postgres://db: ${error.message}`,
        }),
        c: passed('third', 0),
      })
      expectSubscriptions(source.subscriptions).toBe('^----!')
    })(),
  )

  test(
    'are skipped once the connection is lost, and made again in the next run',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a----b----|', { a: run, b: run })
      const database: FakeDatabase = new FakeDatabase(() =>
        database.asked.length === 1 ? new Error('connect ECONNREFUSED') : one(0),
      )
      const lost = "the database could not be reached: see 'first'"
      expectRecords(source.pipe(operator(checks('db', three), database.context))).toBe('(abc)(def)|', {
        a: result('errored', {
          check: 'first',
          severity: 'error',
          message: 'asking postgres://db: connect ECONNREFUSED',
        }),
        b: result('skipped', { check: 'second', message: lost }),
        c: result('skipped', { check: 'third', message: lost }),
        d: passed('first', 0),
        e: passed('second', 0),
        f: passed('third', 0),
      })
      expectSubscriptions(source.subscriptions).toBe('^---------!')
    }),
  )

  test(
    'are counted by what the last has found',
    marbles(({ operator, records, expectRecords, expectSubscriptions, flush }) => {
      const answers = [0, 9, null]
      let readings: () => readonly MetricReading[] = () => []
      const { context } = new FakeDatabase(() => one(answers.shift())).context
      const measures = (asked: () => readonly MetricReading[]) => void (readings = asked)
      const source = records('a----b|', { a: run, b: run })
      const made$ = source.pipe(operator(checks('db', three), { context: { ...context, measures } }))
      const told = () => Object.fromEntries(readings().map(({ metric, value }) => [metric.name, value]))
      expectRecords(made$, '---!').toBe('(abc)', {
        a: passed('first', 0),
        b: result('failed', { check: 'second', severity: 'error', value: 9, message: '9 n: at most 1 may be' }),
        c: result('skipped', { check: 'third', message: 'nothing to judge: n' }),
      })
      expectSubscriptions(source.subscriptions).toBe('^--!')
      flush()
      expect(told()).toEqual({ checks_passed: 1, checks_failed: 1, checks_errored: 0, checks_skipped: 1 })
    }),
  )
})

describe('what is asked', () => {
  const column = 'Name'
  test.each([
    [notNull({ table, column }), 'SELECT count(*) FROM "shop"."orders" WHERE ("Name" IS NULL)', []],
    [
      notNull({ table, column, where: 'a or b' }),
      'SELECT count(*) FROM "shop"."orders" WHERE ("Name" IS NULL) AND (a or b)',
      [],
    ],
    [
      unique({ table, column }),
      'SELECT count(*) - count(DISTINCT "Name") FROM "shop"."orders" WHERE ("Name" IS NOT NULL)',
      [],
    ],
    [
      unique({ table, column: ['a', 'b'] }),
      'SELECT count(*) - count(DISTINCT ("a", "b")) FROM "shop"."orders" WHERE ("a" IS NOT NULL) AND ("b" IS NOT NULL)',
      [],
    ],
    [
      accepted({ table, column, values: ['x', 'y'] }),
      'SELECT count(*) FROM "shop"."orders" WHERE ("Name"::text <> ALL ($1::text[]))',
      [['x', 'y']],
    ],
    [
      reference({ table, column, to: { table: 'users', column: 'id' } }),
      'SELECT count(*) FROM (SELECT "Name" AS has FROM "shop"."orders" WHERE ("Name" IS NOT NULL)) AS these WHERE NOT EXISTS (SELECT FROM "users" AS other WHERE other."id" = these.has)',
      [],
    ],
    [fresh({ table, column, error: '5m' }), 'SELECT extract(epoch FROM now() - max("Name")) FROM "shop"."orders"', []],
    [volume({ table, error: { min: 1 } }), 'SELECT count(*) FROM "shop"."orders"', []],
    [custom({ query: 'SELECT $1', values: [7], error: 1 }), 'SELECT $1', [7]],
  ])('%#', (check, query, values) =>
    marbles(({ operator, records, expectRecords, expectSubscriptions, flush }) => {
      const database = new FakeDatabase(() => [])
      const source = records('a|', { a: run })
      const stage = operator(checks('db', { it: check }), database.context)
      const kinds$ = source.pipe(
        stage,
        map((record) => record.with(record.value.kind)),
      )
      expectRecords(kinds$).toBe('a|', { a: check.definition.kind })
      expectSubscriptions(source.subscriptions).toBe('^!')
      flush()
      expect(database.asked.map((asked) => [asked.query, asked.values])).toEqual([[query, values]])
    })(),
  )
})

describe('a configuration', () => {
  const declared = (check: Check) =>
    config(flow(generate({ rate: 1, value: () => 1 }), checks('db', { 'it is so': check }), consoleSink()))

  test.each([
    [volume({ table }), /it is so.*expected `error`, `warn`, or both/s],
    [fresh({ table, column: 'at', error: 'soon' as never }), /it is so.*error.*expected a duration/s],
    [notNull({ table, colum: 'a' } as never), /it is so/],
    [custom({ query: 'SELECT 1', error: {} }), /it is so.*expected `min`, `max`, or both/s],
    [{} as Check, /it is so.*expected a check, such as notNull/s],
  ])('that can not work is refused, with the name of the check: %#', (check, why) => {
    expect(
      faultsOf(declared(check))
        .map(({ message }) => message)
        .join('\n'),
    ).toMatch(why)
  })

  test('may have settings inside of checks', () => {
    const check = accepted({ table: env('TABLE'), column: 'a', values: env('VALUES').list() })
    expect(faultsOf(declared(check))).not.toEqual([])
    expect(compiled(declared(check), { TABLE: 't', VALUES: 'x,y' }).flows).toHaveLength(1)
  })
})
