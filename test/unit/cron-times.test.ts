import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CronTimes } from '../../src/sources/schedule/cron-times.js'
import { TimeZone } from '../../src/sources/schedule/time-zone.js'

const at = (text: string) => Date.parse(text)

/** The times of a pattern from an instant on, in UTC. */
function timesOf(pattern: string, zone: string, from: string, count: number): string[] {
  const times = new CronTimes(pattern, zone)
  const found: string[] = []
  for (let last = at(from); found.length < count; ) {
    const next = times.next(last)
    if (next === undefined) break
    found.push(new Date(next).toISOString().slice(0, 19))
    last = next
  }
  return found
}

describe('when clocks are set ahead', () => {
  test.each([
    // 02:00 becomes 03:00 at 01:00 UTC.
    ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00:00', '2026-03-30T00:30:00']],
    ['Europe/Berlin', '15,45 2 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00:00', '2026-03-30T00:15:00']],
    ['Europe/Berlin', '0 2,3 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00:00', '2026-03-30T00:00:00']],
    ['Europe/Berlin', '0 3 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00:00', '2026-03-30T01:00:00']],
    ['Europe/Berlin', '30 * * * *', '2026-03-28T23:45Z', ['2026-03-29T00:30:00', '2026-03-29T01:30:00']],
    ['Europe/Berlin', '@hourly', '2026-03-29T00:30Z', ['2026-03-29T01:00:00', '2026-03-29T02:00:00']],
    // 02:00 becomes 03:00 at 07:00 UTC.
    ['America/New_York', '30 2 * * *', '2026-03-07T12:00Z', ['2026-03-08T07:00:00', '2026-03-09T06:30:00']],
    ['America/New_York', '*/30 * * * *', '2026-03-08T06:15Z', ['2026-03-08T06:30:00', '2026-03-08T07:00:00']],
    // 02:00 becomes 02:30 at 15:30 UTC.
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T00:00Z', ['2026-10-03T15:30:00', '2026-10-04T15:15:00']],
    ['Australia/Lord_Howe', '15 * * * *', '2026-10-03T14:00Z', ['2026-10-03T14:45:00', '2026-10-03T16:15:00']],
  ])('%s: %s', (zone, pattern, from, expected) => {
    expect(timesOf(pattern, zone, from, 2)).toEqual(expected)
  })
})

describe('when clocks are set back', () => {
  test.each([
    // 03:00 becomes 02:00 at 01:00 UTC.
    ['Europe/Berlin', '30 2 * * *', '2026-10-24T12:00Z', ['2026-10-25T00:30:00', '2026-10-26T01:30:00']],
    ['Europe/Berlin', '15,45 2 * * *', '2026-10-25T00:20Z', ['2026-10-25T00:45:00', '2026-10-26T01:15:00']],
    ['Europe/Berlin', '30 * * * *', '2026-10-25T00:00Z', ['2026-10-25T00:30:00', '2026-10-25T01:30:00']],
    ['Europe/Berlin', '50 2 * * *', '2026-10-25T01:10Z', ['2026-10-26T01:50:00', '2026-10-27T01:50:00']],
    ['Europe/Berlin', '0 3 * * *', '2026-10-25T00:30Z', ['2026-10-25T02:00:00', '2026-10-26T02:00:00']],
    // 02:00 becomes 01:00 at 06:00 UTC.
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', ['2026-11-01T05:30:00', '2026-11-02T06:30:00']],
    ['America/New_York', '*/30 * * * *', '2026-11-01T05:15Z', ['2026-11-01T05:30:00', '2026-11-01T06:00:00']],
    // 02:00 becomes 01:30 at 15:00 UTC.
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00Z', ['2026-04-04T14:45:00', '2026-04-05T15:15:00']],
    ['Australia/Lord_Howe', '45 * * * *', '2026-04-04T14:00Z', ['2026-04-04T14:45:00', '2026-04-04T15:15:00']],
  ])('%s: %s', (zone, pattern, from, expected) => {
    expect(timesOf(pattern, zone, from, 2)).toEqual(expected)
  })
})

const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'America/St_Johns']
/** A day round each change of some clocks, and an ordinary one. */
const days = ['2026-03-29', '2026-10-25', '2026-03-08', '2026-11-01', '2026-04-04', '2026-10-03', '2026-06-15']
const minute = 60_000

/** What a calendar on the wall says, minute by minute: nothing of how it is looked for. */
function byTheClock(
  minutes: readonly number[],
  hours: readonly number[] | '*',
  zone: string,
  from: number,
  to: number,
) {
  const clocks = new TimeZone(zone)
  const shown = (instant: number) => new Date(clocks.wallAt(instant))
  const found: number[] = []
  let last = clocks.wallAt(from - minute)
  let highest = last
  for (let instant = from; instant < to; instant += minute) {
    const wall = clocks.wallAt(instant)
    const isMatch = (time: number) => {
      const date = new Date(time)
      return minutes.includes(date.getUTCMinutes()) && (hours === '*' || hours.includes(date.getUTCHours()))
    }
    const leftOut = []
    for (let skipped = last + minute; skipped < wall; skipped += minute) leftOut.push(skipped)
    const isFirst = wall > highest
    if (hours === '*' ? minutes.includes(shown(instant).getUTCMinutes()) : isFirst && [...leftOut, wall].some(isMatch))
      found.push(instant)
    last = wall
    highest = Math.max(highest, wall)
  }
  return found
}

describe('of any pattern, in nights of any zone', () => {
  const some = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 4 })
  const pattern = fc.record({
    minutes: some(59),
    hours: fc.oneof(some(23), fc.constant('*' as const)),
    zone: fc.constantFrom(...zones),
    day: fc.constantFrom(...days),
  })
  const cron = (minutes: readonly number[], hours: readonly number[] | '*') =>
    `${minutes.join(',')} ${hours === '*' ? '*' : hours.join(',')} * * *`

  test('times are those that clocks show, each once and one after the other', () => {
    fc.assert(
      fc.property(pattern, ({ minutes, hours, zone, day }) => {
        // Far from where it begins clocks are not set.
        const [from, to] = [at(`${day}T00:00Z`) - 12 * 3_600_000, at(`${day}T00:00Z`) + 36 * 3_600_000]
        const times = new CronTimes(cron(minutes, hours), zone)
        const found: number[] = []
        for (let next = times.next(from - 1); next !== undefined && next < to; next = times.next(next)) found.push(next)
        expect(found).toEqual(byTheClock(minutes, hours, zone, from, to))
      }),
      { numRuns: 120 },
    )
  })

  test('the latest is the last of those that come one after the other', () => {
    const steps = fc.record({ pattern, after: fc.nat(40 * 3_600), span: fc.nat(40 * 3_600) })
    fc.assert(
      fc.property(steps, ({ pattern: { minutes, hours, zone, day }, after, span }) => {
        const from = at(`${day}T00:00Z`) - 12 * 3_600_000 + after * 1_000
        const times = new CronTimes(cron(minutes, hours), zone)
        let last: number | undefined
        for (let next = times.next(from); next !== undefined && next <= from + span * 1_000; next = times.next(next))
          last = next
        expect(times.latest(from, from + span * 1_000)).toBe(last)
      }),
      { numRuns: 60 },
    )
  })
})

test.each([
  ['* * * * * *', '2026-01-01T00:00:00.999Z', '2026-01-01T00:00:01'],
  ['* * * * * *', '2026-01-01T00:00:01Z', '2026-01-01T00:00:02'],
  ['0 0 29 2 *', '2026-01-01T00:00Z', '2028-02-29T00:00:00'],
  ['0 9 * * MON-FRI', '2026-11-27T10:00Z', '2026-11-30T09:00:00'],
  ['@daily', '2026-11-27T10:00Z', '2026-11-28T00:00:00'],
  // Either of the two days, as cron has always had it.
  ['0 0 13 * FRI', '2026-11-07T00:00Z', '2026-11-13T00:00:00'],
])('%s after %s', (pattern, from, expected) => {
  expect(timesOf(pattern, 'UTC', from, 1)).toEqual([expected])
})

test('the last of a whole year is found at once', () => {
  const times = new CronTimes('* * * * * *', 'Europe/Berlin')
  expect(times.latest(at('2025-01-01T00:00Z'), at('2026-01-01T00:00:00.500Z'))).toBe(at('2026-01-01T00:00Z'))
})

test.each([
  ['* * * *', 'expected five fields'],
  ['* * * * * * * *', 'expected five fields'],
  ['61 * * * *', 'CronPattern'],
  ['@reboot', 'expected five fields'],
  ['2026-01-01T00:00:00', 'expected five fields'],
])('%s is no pattern', (pattern, why) => {
  expect(() => new CronTimes(pattern, 'UTC')).toThrow(why)
})
