import { describe, expect, test } from 'vitest'
import { type Duration, flow, type IncidentLevel, incidents, json, kafka, keyBy } from '../../src/index.js'
import { incidentsDefinition } from '../../src/operators/incidents.js'
import { levelBy } from '../../src/operators/internal/limits.js'
import { type MarbleHelpers, marbles, testRecord } from '../../src/testing/marbles.js'
import { listSink } from '../support/list-sink.js'
import { singleStage } from '../support/single-stage.js'

interface Check {
  readonly of: string
  readonly level: IncidentLevel | 'unknown' | 'broken'
}

const levelOf = ({ level }: Check): IncidentLevel | undefined => {
  if (level === 'broken') throw new Error('it has no level')
  return level === 'unknown' ? undefined : level
}

interface Options {
  readonly openAfter?: Duration
  readonly resolveAfter?: Duration
  readonly remindEvery?: Duration
  readonly silentAfter?: Duration
  readonly onError?: 'fail' | 'skip' | 'dead-letter'
}

/** Records have the time of their frame, ms. */
const watched = (options: Options = {}) =>
  flow(
    kafka.source({ topic: 'checks' }),
    json<Check>(),
    keyBy(({ of }) => of),
    incidents('watched', { level: levelOf, ...options }),
    listSink(),
  )

const check = (level: Check['level'], of = 'lag'): Check => ({ of, level })
const checks = { o: check('ok'), w: check('warn'), e: check('error'), u: check('unknown'), x: check('broken') }

/** What is told at a time of an incident that opened at another. */
const told = (
  status: string,
  at: number,
  openedAt: number,
  { since = openedAt, value = 'error', key = 'lag', ...rest }: Record<string, unknown> & { since?: number } = {},
) => ({
  id: `${String(key)}@${new Date(openedAt).toISOString()}`,
  key,
  status,
  level: 'error',
  since: new Date(since),
  openedAt: new Date(openedAt),
  at: new Date(at),
  notice: 1,
  silent: false,
  value: value === null ? undefined : check(value as Check['level'], key as string),
  ...rest,
})

const run = ({ flow }: MarbleHelpers, options: Options = {}, crash = '') => {
  const flowed = flow(watched(options))
  if (crash !== '') flowed.crash(crash)
  return flowed
}

describe('an incident', () => {
  test(
    'is told once for many bad records, and resolves with the first good one',
    marbles((helpers) => {
      const flowed = run(helpers)
      flowed.source('oeeeoo', checks)
      flowed.sink('  -a--z-', {
        a: told('opened', 1, 1),
        z: told('resolved', 4, 1, { notice: 2, value: 'ok' }),
      })
    }),
  )

  test(
    'opens when it has been bad for so long, and not for what passes before',
    marbles((helpers) => {
      const flowed = run(helpers, { openAfter: 3 })
      flowed.source('eeoeeeee', checks)
      flowed.sink('  ------a-', { a: told('opened', 6, 6, { since: 3 }) })
    }),
  )

  test(
    'resolves when it has been good for so long: what goes up and down is one',
    marbles((helpers) => {
      const flowed = run(helpers, { resolveAfter: 3 })
      flowed.source('eoeooeoooooe', checks)
      flowed.sink('  a--------z-b', {
        a: told('opened', 0, 0),
        z: told('resolved', 9, 0, { notice: 2, value: 'ok' }),
        b: told('opened', 11, 11),
      })
    }),
  )

  test(
    'is told again so often, while it is bad',
    marbles((helpers) => {
      const flowed = run(helpers, { remindEvery: 3 })
      flowed.source('eeeeeeeo---o', checks)
      flowed.sink('  a--b--cz----', {
        a: told('opened', 0, 0),
        b: told('reminded', 3, 0, { notice: 2 }),
        c: told('reminded', 6, 0, { notice: 3 }),
        z: told('resolved', 7, 0, { notice: 4, value: 'ok' }),
      })
    }),
  )

  test(
    'is not told again while it is good and has not resolved yet',
    marbles((helpers) => {
      const flowed = run(helpers, { remindEvery: 2, resolveAfter: 4 })
      flowed.source('eooooo', checks)
      flowed.sink('  a----z', {
        a: told('opened', 0, 0),
        z: told('resolved', 5, 0, { notice: 2, value: 'ok' }),
      })
    }),
  )

  test(
    'goes up at once, and down when it has been better for so long',
    marbles((helpers) => {
      const flowed = run(helpers, { resolveAfter: 2, openAfter: 0 })
      flowed.source('wewewww-ooo', checks)
      flowed.sink('  ab----c---z', {
        a: told('opened', 0, 0, { level: 'warn', value: 'warn' }),
        b: told('changed', 1, 0, { notice: 2 }),
        c: told('changed', 6, 0, { notice: 3, level: 'warn', value: 'warn' }),
        z: told('resolved', 10, 0, { notice: 4, level: 'warn', value: 'ok' }),
      })
    }),
  )

  test(
    'stays as it is when a record does not tell',
    marbles((helpers) => {
      const flowed = run(helpers, { remindEvery: 2 })
      flowed.source('ueuuuoe', checks)
      flowed.sink('  -a---zb', {
        a: told('opened', 1, 1),
        z: told('resolved', 5, 1, { notice: 2, value: 'ok' }),
        b: told('opened', 6, 6),
      })
    }),
  )

  test(
    'is one of each key',
    marbles((helpers) => {
      const flowed = run(helpers)
      flowed.source('eEoO', { ...checks, E: check('error', 'rows'), O: check('ok', 'rows') })
      flowed.sink('  abcd', {
        a: told('opened', 0, 0),
        b: told('opened', 1, 1, { key: 'rows' }),
        c: told('resolved', 2, 0, { notice: 2, value: 'ok' }),
        d: told('resolved', 3, 1, { notice: 2, value: 'ok', key: 'rows' }),
      })
    }),
  )

  test(
    'of whose key nothing comes any more resolves, by the time of others',
    marbles((helpers) => {
      const flowed = run(helpers, { silentAfter: 4 })
      flowed.source('e-O-O', { ...checks, O: check('ok', 'rows') })
      flowed.sink('  a---z', {
        a: told('opened', 0, 0),
        z: told('resolved', 4, 0, { notice: 2, silent: true, value: null }),
      })
    }),
  )

  test(
    'that has not opened is forgotten when nothing comes of it any more',
    marbles((helpers) => {
      const flowed = run(helpers, { silentAfter: 4, openAfter: 3 })
      flowed.source('e---Oe-e', { ...checks, O: check('ok', 'rows') })
      flowed.sink('  --------')
    }),
  )

  test(
    'stays open over a crash, and a replay tells nothing twice',
    marbles((helpers) => {
      const flowed = run(helpers, { remindEvery: 4 }, '--x--x')
      flowed.source('e-e-e-eo', checks)
      flowed.sink('  a---b--z', {
        a: told('opened', 0, 0),
        b: told('reminded', 4, 0, { notice: 2 }),
        z: told('resolved', 7, 0, { notice: 3, value: 'ok' }),
      })
    }),
  )

  test(
    'that has been bad for a while opens in time, although a crash came in between',
    marbles((helpers) => {
      const flowed = run(helpers, { openAfter: 3 }, '-x')
      flowed.source('eeee', checks)
      flowed.sink('  ---a', { a: told('opened', 3, 3, { since: 0 }) })
    }),
  )
})

/** The stage, with a store and no engine around it. */
function alone({ operator }: MarbleHelpers, options: Options) {
  const { context, stores } = singleStage('watched', 'task')
  const watching = operator(incidents('watched', { level: levelOf, ...options }), { context })
  stores.assign({ topic: 'test', partition: 0, generation: 1, sequence: 0, progress: undefined })
  return watching
}

test(
  'a pause of all records silences nothing that comes after it',
  marbles((helpers) => {
    const { records, expectRecords, expectSubscriptions } = helpers
    const of = (key: string, timestamp: number) => testRecord(check('error', key), { key, timestamp })
    const source = records('(abcd)--|', { a: of('lag', 0), b: of('rows', 0), c: of('lag', 100), d: of('rows', 100) })
    const watching = alone(helpers, { silentAfter: 50 })
    expectRecords(source.pipe(watching)).toBe('(xy)----|', {
      x: told('opened', 0, 0),
      y: told('opened', 0, 0, { key: 'rows' }),
    })
    expectSubscriptions(source.subscriptions).toBe('^-------!')
  }),
)

test(
  'a record that comes late tells of now',
  marbles((helpers) => {
    const { records, expectRecords, expectSubscriptions } = helpers
    const at = (level: Check['level'], timestamp: number) => testRecord(check(level), { key: 'lag', timestamp })
    const source = records('abc|', { a: at('error', 60), b: at('error', 20), c: at('ok', 10) })
    const watching = alone(helpers, { remindEvery: 50 })
    expectRecords(source.pipe(watching)).toBe('x-z|', {
      x: told('opened', 60, 60),
      z: told('resolved', 60, 60, { notice: 2, value: 'ok' }),
    })
    expectSubscriptions(source.subscriptions).toBe('^--!')
  }),
)

test(
  'what is told has the place, the time and the key of its record',
  marbles((helpers) => {
    const { records, expectObservable, expectSubscriptions } = helpers
    const record = testRecord(check('error'), { key: 'lag', timestamp: 5, headers: [{ h: '1' }], offset: 7 })
    const source = records('a|', { a: record })
    const watching = alone(helpers, {})
    const incident = told('opened', 5, 5) as never
    expectObservable(source.pipe(watching)).toBe('x|', { x: record.with(incident) })
    expectSubscriptions(source.subscriptions).toBe('^!')
  }),
)

describe('a record that `level` throws at', () => {
  test(
    'ends the epoch',
    marbles((helpers) => {
      const flowed = run(helpers)
      flowed.source('x', checks)
      flowed.sink('  -')
      flowed.finally(({ error }) => expect(error?.code).toBe('WEIR_STAGE_FAILED'))
    }),
  )

  test.each(['dead-letter', 'skip'] as const)('is rejected by policy %s, and changes nothing', (onError) => {
    marbles((helpers) => {
      const flowed = run(helpers, { onError })
      flowed.source('exo', checks)
      flowed.sink('  a-z', { a: told('opened', 0, 0), z: told('resolved', 2, 0, { notice: 2, value: 'ok' }) })
      flowed.deadLetters(onError === 'skip' ? '---' : '-x-', { x: 'WEIR_STAGE_FAILED' })
    })()
  })

  test(
    'is one too of which it returns no level',
    marbles((helpers) => {
      const flowed = helpers.flow(
        flow(
          kafka.source({ topic: 'checks' }),
          json<Check>(),
          incidents('watched', { level: () => 'bad' as never, onError: 'dead-letter' }),
          listSink(),
        ),
      )
      flowed.source('     e', checks)
      flowed.sink('       -')
      flowed.deadLetters('x', { x: 'WEIR_STAGE_FAILED' })
    }),
  )
})

describe('limits', () => {
  const limited = (value: { seconds: number | null; records: number }) =>
    levelBy([
      { of: ({ seconds }: typeof value) => seconds, warn: 60, error: 300 },
      { of: ({ records }: typeof value) => records, error: 1_000 },
    ] as never)(value, testRecord(value))

  test.each([
    [{ seconds: 59.9, records: 999 }, 'ok'],
    [{ seconds: 60, records: 0 }, 'warn'],
    [{ seconds: 300, records: 0 }, 'error'],
    [{ seconds: 60, records: 1_000 }, 'error'],
    [{ seconds: null, records: 1_000 }, 'error'],
    [{ seconds: null, records: 0 }, undefined],
  ])('of %j it is %s', (value, level) => {
    expect(limited(value)).toBe(level)
  })

  test('of what is no number is the fault of the record', () => {
    expect(() => limited({ seconds: 'long' as never, records: 0 })).toThrow(
      /a limit is of a number, and this is string/,
    )
  })

  test('that could never warn are refused', () => {
    const { options } = incidentsDefinition
    const of = () => 1
    expect(options.safeParse({ name: 'x', level: [{ of, warn: 3, error: 2 }] }).success).toBe(false)
    expect(options.safeParse({ name: 'x', level: [] }).success).toBe(false)
    expect(options.safeParse({ name: 'x', level: [{ of, warn: 3 }, { of }] }).success).toBe(true)
    expect(options.safeParse({ name: 'x', level: [{ of }] }).success).toBe(false)
  })
})
