import { interval, take, timer, VirtualTimeScheduler } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { flow, json, kafka, map } from '../../src/index.js'
import { clientDuration, duration, systemClock } from '../../src/model/index.js'
import { mapAsyncDefinition } from '../../src/operators/map-async.js'
import { feedDefinition } from '../../src/sources/feed.js'
import { kafkaSource } from '../../src/sources/kafka.js'
import { sseDefinition } from '../../src/sources/sse.js'
import { VirtualFlow } from '../../src/testing/index.js'
import { ailments } from '../../src/worker/health.js'
import { listSink } from '../support/list-sink.js'

const day = 86_400_000

describe('timers beyond 24.8 days', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  test.each([30 * day, 365 * day, 2 ** 31, 2 ** 31 - 1, 1])('one of %i ms fires then, and not before', (delay) => {
    const fired: number[] = []
    timer(delay, systemClock.scheduler).subscribe(() => fired.push(systemClock.scheduler.now()))
    const began = systemClock.scheduler.now()
    vi.advanceTimersByTime(delay - 1)
    expect(fired).toEqual([])
    vi.advanceTimersByTime(1)
    expect(fired).toEqual([began + delay])
  })

  test('one that is left never fires', () => {
    let fired = 0
    const waiting = timer(60 * day, systemClock.scheduler).subscribe(() => fired++)
    vi.advanceTimersByTime(59 * day)
    waiting.unsubscribe()
    vi.advanceTimersByTime(90 * day)
    expect([fired, vi.getTimerCount()]).toEqual([0, 0])
  })

  test('one that comes again and again keeps its distance', () => {
    const began = systemClock.scheduler.now()
    const fired: number[] = []
    interval(40 * day, systemClock.scheduler)
      .pipe(take(3))
      .subscribe(() => fired.push((systemClock.scheduler.now() - began) / day))
    vi.advanceTimersByTime(200 * day)
    expect(fired).toEqual([40, 80, 120])
  })

  test("what is left to a client's own timer is refused", () => {
    expect(duration.parse('30d')).toBe(30 * day)
    expect(clientDuration.safeParse('24d').success).toBe(true)
    expect(clientDuration.safeParse('25d').error?.message).toContain("expected no more than '24d'")
  })
})

test.each([
  [-1],
  [Number.NaN],
  [Number.POSITIVE_INFINITY],
  ['1e9d'],
  ['99999999999999d'],
  ['-5s'],
  [' 5s'],
  [''],
  [['5s']],
])('a duration of %j is none', (given) => expect(duration.safeParse(given).success).toBe(false))

test.each([
  ['feed', feedDefinition.options, 'every', { url: 'http://a', items: () => [], id: String, time: Number }],
  ['feed', feedDefinition.options, 'timeout', { url: 'http://a', items: () => [], id: String, time: Number }],
  ['sse', sseDefinition.options, 'idleTimeout', { url: 'http://a' }],
  ['sse', sseDefinition.options, 'reconnect', { url: 'http://a' }],
  ['mapAsync', mapAsyncDefinition.options, 'timeout', { project: () => Promise.resolve(1) }],
  ['kafka.source', kafkaSource.options, 'stallAfter', { topic: 't' }],
] as const)('%s takes no 0 for %s', (_, options, name, rest) => {
  expect(options.safeParse({ ...rest, [name]: '1ms' }).success).toBe(true)
  expect(options.safeParse({ ...rest, [name]: '0s' }).error?.issues).toMatchObject([{ path: [name] }])
})

describe('a wall clock that is set', () => {
  test('real time never goes back', () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const before = systemClock.scheduler.now()
    vi.setSystemTime(0)
    expect(systemClock.scheduler.now()).toBeGreaterThanOrEqual(before)
    expect(systemClock.scheduler.now()).toBeLessThan(before + 10_000)
    vi.useRealTimers()
  })

  test.each([-3_600_000, 3_600_000])('by %i ms changes nothing of how a flow does', (jump) => {
    const declared = flow(
      kafka.source({ topic: 't' }),
      json<number>(),
      map((n) => n),
      listSink(),
    )
    const scheduler = new VirtualTimeScheduler()
    const virtual = new VirtualFlow(declared, scheduler, { epoch: { everyMs: 100 } })
    virtual.append(10, 1)
    virtual.append(5_010, 2)
    const silences: number[] = []
    scheduler.schedule(() => virtual.start(), 0)
    scheduler.schedule(() => virtual.clock.jump(jump), 3_000)
    for (let at = 1_000; at < 9_000; at += 500) {
      scheduler.schedule(() => {
        const status = virtual.status()
        if (status === undefined) return
        expect(ailments([status], { now: scheduler.now(), stuckAfterMs: 1_000 })).toEqual([])
        silences.push(scheduler.now() - (status.lastCommitAt ?? 0))
      }, at)
    }
    scheduler.schedule(() => virtual.stop(), 9_000)
    scheduler.schedule(() => virtual.crash(), 10_000)
    scheduler.flush()
    expect(virtual.written.map(({ at, value }) => [at, value])).toEqual([
      [10, 1],
      [5_010, 2],
    ])
    expect(silences).toHaveLength(16)
    expect(Math.min(...silences)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...silences)).toBeLessThanOrEqual(100)
  })
})
