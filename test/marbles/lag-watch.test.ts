import { expect, test } from 'vitest'
import type { Alert } from '../../src/flows/alerts.js'
import { lagWatch } from '../../src/flows/lag-watch.js'
import type { GroupLag } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'

/** A character of a diagram is 1 ms, and so are these. */
const environment = { LAG_FOR_SEC: '0.002', ALERT_REMIND_SEC: '0.005', LAG_ERROR_RECORDS: '1000' }

const lag = (seconds: number | null, records = seconds === 0 ? 0 : 10, more: Partial<GroupLag> = {}): GroupLag => ({
  group: 'billing',
  topic: 'orders',
  state: 'stable',
  records,
  seconds,
  growth: null,
  drainSeconds: null,
  partitions: [],
  ...more,
})

const key = 'billing/orders'
const none = lag(0)
const late = lag(61.5)

test(
  'many measurements are one alert: it opens, gets worse, is told again and resolves',
  marbles(({ flow }) => {
    const run = flow(lagWatch, { environment })
    const worse = lag(400, 90, { growth: 1.5 })
    run.source('nwwweeeeeeennnn', { n: none, w: late, e: worse }, { key })
    run.sink(
      '---ab----c---d-',
      {
        a: "[OPEN warn] group 'billing' is 10 records behind in topic 'orders', the oldest 61.5 s old",
        b: "[NOW error] group 'billing' is 90 records behind in topic 'orders', the oldest 400 s old, growing by 1.5/s",
        c: "[STILL error] group 'billing' is 90 records behind in topic 'orders', the oldest 400 s old, growing by 1.5/s",
        d: "[RESOLVED] group 'billing' is 0 records behind in topic 'orders'",
      },
      'alert-log',
    )
    run.finally(() => {
      const alerts = run.virtual.written.filter(({ sink }) => sink !== 'alert-log').map(({ value }) => value)
      const of = alerts.map((leaving) => (leaving as { alert: Alert }).alert)
      expect(of.map(({ source, status, level, notice }) => [source, status, level, notice])).toEqual([
        ['lag-watch', 'opened', 'warn', 1],
        ['lag-watch', 'changed', 'error', 2],
        ['lag-watch', 'reminded', 'error', 3],
        ['lag-watch', 'resolved', 'error', 4],
      ])
      expect(new Set(of.map(({ id }) => id)).size).toBe(1)
    })
  }),
)

test(
  'a lag that passes in time is nobody told of, and one that comes and goes is one alert',
  marbles(({ flow }) => {
    const run = flow(lagWatch, { environment: { ...environment, ALERT_REMIND_SEC: '9' } })
    run.source('wwnwwwnwnwnwnnnn', { n: none, w: late }, { key })
    run.sink(
      '  -----a--------b-',
      {
        a: "[OPEN warn] group 'billing' is 10 records behind in topic 'orders', the oldest 61.5 s old",
        b: "[RESOLVED] group 'billing' is 0 records behind in topic 'orders'",
      },
      'alert-log',
    )
  }),
)

test(
  'a crash tells nothing twice, and forgets nothing that is open',
  marbles(({ flow }) => {
    const run = flow(lagWatch, { environment })
    run.source('www-w-nnnn', { n: none, w: late }, { key })
    run.crash(' -x-x-x---')
    run.sink(
      '  --a-----b-',
      {
        a: "[OPEN warn] group 'billing' is 10 records behind in topic 'orders', the oldest 61.5 s old",
        b: "[RESOLVED] group 'billing' is 0 records behind in topic 'orders'",
      },
      'alert-log',
    )
  }),
)

test(
  'records that wait have a limit of their own, and where nobody can tell how late they are nothing resolves',
  marbles(({ flow }) => {
    const run = flow(lagWatch, { environment: { ...environment, ALERT_REMIND_SEC: '9' } })
    const many = lag(3, 2_000, { state: 'empty', growth: -100, drainSeconds: 20 })
    run.source('mmmuuuuunnn', { m: many, u: lag(null, 10), n: none }, { key })
    run.sink(
      '  --a-------b',
      {
        a: "[OPEN error] group 'billing' is 2000 records behind in topic 'orders', the oldest 3 s old, shrinking by 100/s, 20 s to go, it has no members",
        b: "[RESOLVED] group 'billing' is 0 records behind in topic 'orders'",
      },
      'alert-log',
    )
  }),
)
