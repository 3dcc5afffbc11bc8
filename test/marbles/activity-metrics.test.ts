import { describe, expect, test } from 'vitest'
import config from '../../flows.config.js'
import type { Activity } from '../../src/flows/activity.js'
import { at, marbles } from '../../src/testing/index.js'

const declared = config.flows['activity-metrics']
if (declared === undefined) throw new Error('the configuration has this flow')
const began = Date.parse('2024-05-01T12:00:00Z')

/** What a user did so many seconds into the first window. */
const did = (activity_type: string, user_id: string, second: number): Activity => ({
  user_id,
  activity_type,
  timestamp: new Date(began + second * 1_000).toISOString(),
})
const view = (user: string, second: number) => did('page_view', user, second)
const click = (user: string, second: number) => did('click', user, second)

/** The result of the window that starts at so many seconds, as `batch` hands it to the sink. */
const row = (second: number, unique_users: number, page_view_count: number) => {
  const start = began + second * 1_000
  return {
    key: null,
    window: { start: new Date(start), end: new Date(start + 30_000) },
    value: { unique_users, page_view_count },
  }
}

test(
  'a window is one row: its unique users and page views',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('abcde--f', {
      a: view('ann', 0),
      b: click('ann', 4),
      c: view('bob', 12),
      d: view('ann', 29),
      e: view('cyd', 31),
      f: view('cyd', 35),
    })
    run.sink('  -------w', { w: [row(0, 2, 3)] })
  }),
)

test(
  'all windows that close at once are one batch, oldest first',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('abcd--e', {
      a: at(view('ann', 1), { partition: 1 }),
      b: view('bob', 31),
      c: click('bob', 64),
      d: view('cyd', 101),
      e: at(view('ann', 99), { partition: 1 }),
    })
    run.sink('  ------w', { w: [row(0, 1, 1), row(30, 1, 1), row(60, 1, 0)] })
    run.finally(({ watermark }) => expect(watermark).toBe(began + 94_000))
  }),
)

test(
  'a window waits for records of the last 5 s',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('abc-d', { a: view('ann', 0), b: view('bob', 34), c: view('cyd', 29), d: view('bob', 36) })
    run.sink('  ----w', { w: [row(0, 2, 2)] })
  }),
)

test(
  'a late record goes to the dead letters as it came',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('     ab-c', { a: view('ann', 0), b: view('bob', 36), c: at(view('cyd', 29), { key: 'cyd' }) })
    run.sink('       -w--', { w: [row(0, 1, 1)] })
    run.deadLetters('---c', { c: 'WEIR_RECORD_LATE' })
    run.finally(() => {
      const [letter] = run.virtual.deadLetters
      expect(letter).toMatchObject({
        flow: 'flow',
        stage: 'per-window',
        attempts: 1,
        record: { origin: { offset: 2 } },
      })
      expect(JSON.parse(String(letter?.record.origin.value))).toEqual(view('cyd', 29))
    })
  }),
)

describe('what does not parse goes to the dead letters, and the rest flows on', () => {
  const good = { a: view('ann', 0), z: view('bob', 36) }
  const poison: readonly (readonly [string, unknown, string])[] = [
    ['no JSON', '{ nonsense', 'WEIR_RECORD_MALFORMED'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'WEIR_RECORD_MALFORMED'],
    ['a tombstone', null, 'WEIR_RECORD_MALFORMED'],
    ['a missing field', { user_id: 'ann', timestamp: '2024-05-01T12:00:00Z' }, 'WEIR_RECORD_INVALID'],
    ['an empty user', view('', 1), 'WEIR_RECORD_INVALID'],
    ['a time that is none', { ...view('ann', 1), timestamp: 'yesterday' }, 'WEIR_RECORD_INVALID'],
  ]

  for (const [what, bad, code] of poison) {
    test(
      what,
      marbles(({ flow }) => {
        const run = flow(declared)
        run.source('     abz', { ...good, b: bad })
        run.sink('       --w', { w: [row(0, 1, 1)] })
        run.deadLetters('-b-', { b: code })
      }),
    )
  }
})

test(
  'fields that are not named, and nulls in the metadata, do no harm',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('abz', {
      a: { ...view('ann', 0), metadata: { page_url: '/', referrer: null, depth: 3 } },
      b: { ...view('bob', 1), metadata: null, session: 's' },
      z: view('ann', 36),
    })
    run.sink('  --w', { w: [row(0, 2, 2)] })
  }),
)

test(
  'a time without a zone is UTC',
  marbles(({ flow }) => {
    const run = flow(declared)
    run.source('abz', {
      a: { ...view('ann', 0), timestamp: '2024-05-01T12:00:03' },
      b: { ...view('bob', 0), timestamp: '2024-05-01T14:00:03+02:00' },
      z: view('ann', 36),
    })
    run.sink('  --w', { w: [row(0, 2, 2)] })
  }),
)

test(
  'when nothing comes any more, the last window closes of itself',
  marbles(({ flow }) => {
    const run = flow(declared, { epoch: { everyMs: 500 } })
    run.source('a 45s -', { a: view('ann', 0) })
    // Idle after 5 s; then 35 s until the watermark, 5 s behind the record, has passed the end of the window.
    run.sink('40s w', { w: [row(0, 1, 1)] })
  }),
)

test(
  'a partition without records holds no window open for long',
  marbles(({ flow }) => {
    const run = flow(declared, { epoch: { everyMs: 500 } })
    run.virtual.reserve(2)
    run.source('a 2s b 2s c 2s d', { a: view('ann', 0), b: view('bob', 10), c: view('ann', 20), d: view('cyd', 36) })
    run.sink('  - 2s - 2s - 2s w', { w: [row(0, 2, 3)] })
  }),
)

describe('a crash at any moment repeats no row and loses none', () => {
  const records = {
    a: view('ann', 0),
    b: at(click('bob', 12), { partition: 1 }),
    c: view('ann', 29),
    d: at(view('cyd', 31), { partition: 1 }),
    e: view('ann', 36),
    f: at(view('bob', 40), { partition: 1 }),
    x: '{ nonsense',
    l: view('cyd', 3),
  }

  for (const moment of Array.from({ length: 18 }).keys()) {
    test(
      `after ${moment} ms`,
      marbles(({ flow }) => {
        const run = flow(declared)
        run.source('     a-b-c-x-d-e-f-l-', records)
        run.crash(`      ${moment}ms x`)
        run.sink('       ------------w---', { w: [row(0, 2, 2)] })
        run.deadLetters('------x-------l-', { x: 'WEIR_RECORD_MALFORMED', l: 'WEIR_RECORD_LATE' })
      }),
    )
  }

  test(
    'and so does a crash after each of them',
    marbles(({ flow }) => {
      const run = flow(declared)
      run.source('     a-b-c-x-d-e-f-l-', records)
      run.crash('      -x-x-x-x-x-x-x-x')
      run.sink('       ------------w---', { w: [row(0, 2, 2)] })
      run.deadLetters('------x-------l-', { x: 'WEIR_RECORD_MALFORMED', l: 'WEIR_RECORD_LATE' })
    }),
  )
})

test(
  'windows and lateness are as the environment says',
  marbles(({ flow }) => {
    const environment = { FLUSH_INTERVAL_SEC: '10', ALLOWED_LATENESS_SEC: '0', BATCH_SIZE: '1' }
    const run = flow(declared, { environment })
    const short = (second: number, users: number, views: number) => ({
      ...row(second, users, views),
      window: { start: new Date(began + second * 1_000), end: new Date(began + second * 1_000 + 10_000) },
    })
    run.source('ab-c    ', { a: view('ann', 0), b: view('bob', 10), c: view('bob', 20) })
    run.sink('  -v-w    ', { v: [short(0, 1, 1)], w: [short(10, 1, 1)] })
  }),
)
