import { describe, expect, test } from 'vitest'
import { isoReader, time } from '../../src/model/index.js'
import { eventTime } from '../../src/operators/event-time.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

const noon = Date.UTC(2024, 4, 17, 12)

test(
  'sets the time of each record, and by how much it trails its partition',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const at = (time: number, offset: number, partition: number) =>
      testRecord({ at: new Date(time) }, { offset, partition })
    const [a, b, c] = [at(noon, 0, 0), at(noon - 500, 1, 0), at(noon - 900, 0, 1)] as const
    const source = records('-a-b-c-|', { a, b, c })
    const subs = '          ^------!'
    const expected = '      -x-y-z-|'

    const stage = operator(eventTime(({ at }: { at: Date }) => at))
    const derived = { x: a.at(noon, 0), y: b.at(noon - 500, 500), z: c.at(noon - 900, 0) }
    expectObservable(source.pipe(stage)).toBe(expected, derived)
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

test(
  'tells the task how far records may trail, and when a partition is idle',
  marbles(({ operator, streamTime }) => {
    operator(eventTime((time: number) => time, { outOfOrder: '5s', idleAfter: '1m' }))
    expect(streamTime).toMatchObject({ outOfOrderMs: 5_000, idleAfterMs: 60_000 })
    operator(eventTime((time: number) => time))
    expect(streamTime).toMatchObject({ outOfOrderMs: 0, idleAfterMs: 30_000 })
  }),
)

test(
  'reads dates, ISO 8601 texts and numbers of ms',
  marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
    const [a, b, c] = [new Date(noon), '2024-05-17T12:00:00.000Z', noon + 0.5].map((time) => testRecord(time))
    const source = records('(abc|)', { a: a as never, b: b as never, c: c as never })
    const stage = operator(eventTime((time: Date | string | number) => time))

    expectObservable(source.pipe(stage)).toBe('(abc|)', { a: a?.at(noon, 0), b: b?.at(noon, 0), c: c?.at(noon, 0) })
    expectSubscriptions(source.subscriptions).toBe('(^!)')
  }),
)

test(
  'sends records without a readable time to the dead letters',
  marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records('-(abcdef)-|', {
      a: 'line 7',
      b: Number.NaN,
      c: new Date(Number.NaN),
      d: undefined,
      e: {},
      f: 1e20,
    })
    const subs = '          ^---------!'
    const expected = '      ----------|'
    const rejected = '      -(rrrrrr)'

    expectRecords(source.pipe(operator(eventTime((time: unknown) => time as string)))).toBe(expected)
    expectRejections(rejected, { r: 'WEIR_RECORD_NO_TIME' })
    expectSubscriptions(source.subscriptions).toBe(subs)
    flush()
    expect(rejections.map(({ error }) => error.message.replace('reading the event time: ', ''))).toEqual([
      "'line 7' is no time",
      'NaN is no time',
      'this object is no time',
      'undefined is no time',
      'this object is no time',
      '100000000000000000000 is no time',
    ])
  }),
)

test.each([
  ['fail', '-#', '', '^!'],
  ['skip', '---b-|', '-r', '^----!'],
] as const)('a selector that throws, by policy %s', (onError, expected, rejected, subs) => {
  marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
    const source = records<{ at: number } | null>('-a-b-|', { a: null, b: { at: 1 } })
    const stage = operator(eventTime((value: { at: number } | null) => (value as { at: number }).at, { onError }))
    expectRecords(source.pipe(stage)).toBe(expected, { b: { at: 1 } }, 'WEIR_RECORD_NO_TIME')
    expectRejections(rejected, { r: 'WEIR_RECORD_NO_TIME' })
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
})

test(
  'leaves its source when it is left',
  marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
    const source = records('-a-a-a-|', { a: noon })
    const subs = '          ^---!   '
    const expected = '      -a-a-   '
    const unsub = '         ----!   '

    expectRecords(source.pipe(operator(eventTime((time: number) => time))), unsub).toBe(expected, { a: noon })
    expectSubscriptions(source.subscriptions).toBe(subs)
  }),
)

describe('ISO 8601', () => {
  test.each([
    ['2024-05-17T12:00:00.000Z', noon],
    ['2024-05-17T12:00:00Z', noon],
    ['2024-05-17T12:00Z', noon],
    ['2024-05-17T12:00:00', noon],
    ['2024-05-17 12:00:00', noon],
    ['2024-05-17t12:00:00z', noon],
    ['2024-05-17T14:00:00+02:00', noon],
    ['2024-05-17T14:00:00+0200', noon],
    ['2024-05-17T07:30:00.000-04:30', noon],
    ['2024-05-17T07:00:00-05', noon],
    ['2024-05-17T12:00:00.5Z', noon + 500],
    ['2024-05-17T12:00:00,25Z', noon + 250],
    ['2024-05-17T12:00:00.123456789Z', noon + 123],
    ['2024-05-17T12:00:00.1234567891Z', noon + 123],
    ['2024-05-17T12:00:00.12345678901234567890+00:00', noon + 123],
    ['2024-05-17T12:00:00+0000', noon],
    ['2024-05-17T23:59:59.999Z', noon + 43_199_999],
    ['2024-05-17T24:00:00Z', noon + 43_200_000],
    ['2024-05-17', noon - 43_200_000],
    ['2024-02-29T12:00:00Z', Date.UTC(2024, 1, 29, 12)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0)],
    ['2017-01-01T00:59:60.25+01:00', Date.UTC(2017, 0) + 250],
    ['0001-01-01T00:00:00Z', Date.parse('0001-01-01T00:00:00Z')],
  ])('%s', (text, ms) => {
    const read = isoReader()
    expect(read(text)).toBe(ms)
    expect(read(text)).toBe(ms)
    expect(time().safeParse(text).success).toBe(true)
  })

  test.each([
    '',
    'now',
    'line 7',
    '2024',
    '2024-05',
    '2024-02-30T12:00:00Z',
    '2023-02-29',
    '2024-13-01',
    '2024-05-17T25:00:00Z',
    '2024-05-17T12:60:00Z',
    '2024-05-17T12:00:61Z',
    '2024-05-17T12:00:60Z',
    '2024-05-17T23:59:60Z',
    '2016-12-31T23:59:60+01:00',
    '2024-05-17T24:00:01Z',
    '2024-05-17T12:00:00+99:99',
    '2024-05-17T12:00:00+24:00',
    '2024-05-17T12:00:00-01:60',
    '2024-05-17T12:00:00+2500',
    '2024-05-17T1x:00:00Z',
    '2024-05-17T12:00:00!000Z',
    '2024-05-17T12:00:00.00xZ',
    '2024-05-17T12:00:00 UTC',
    ' 2024-05-17T12:00:00Z',
    'Fri May 17 2024 12:00:00',
  ])('refuses %j', (text) => {
    const read = isoReader()
    read('2024-05-17T12:00:00Z')
    expect(read(text)).toBeNaN()
    expect(time().safeParse(text).success).toBe(false)
  })

  test('agrees with Date on every day of four years', () => {
    const read = isoReader()
    for (let ms = noon; ms < noon + 4 * 366 * 86_400_000; ms += 33_333_333) {
      expect(read(new Date(ms).toISOString())).toBe(ms)
    }
  })
})
