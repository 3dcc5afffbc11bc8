import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, json, kafka, type Operator, tumbling } from '../../src/index.js'
import { lateError } from '../../src/operators/internal/groups.js'
import type { Windowed } from '../../src/operators/windows.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

type Timing = Operator<{ t: number }, { t: number }>

const hour = 3_600_000
const start = Date.UTC(2024, 0)

/** Records of these times, each with that timestamp of its own. */
function played(times: readonly number[], timestamp: number | undefined, options: object = {}) {
  return told(
    times.map((t) => [t, timestamp]),
    [eventTime<{ t: number }>(({ t }) => t, options)],
  )
}

/** The starts of windows of records of these times and timestamps, and what was rejected. */
function told(records: readonly (readonly [t: number, timestamp: number | undefined])[], times: readonly Timing[]) {
  const declared = flow(
    kafka.source({ topic: 't' }),
    json<{ t: number }>(),
    ...(times as [Timing]),
    aggregate('n', { window: tumbling(10), of: count(), late: 'dead-letter' }),
    listSink(),
  )
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords: 5, everyMs: 50 } })
  for (const [index, [t, timestamp]] of records.entries())
    virtual.append(index, { t }, timestamp === undefined ? {} : { timestamp })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), 1_000)
  scheduler.schedule(() => virtual.crash(), 1_001)
  scheduler.flush()
  const starts = virtual.committed.map(({ value }) => (value as Windowed<number, null>).window.start.getTime())
  return { starts, rejected: virtual.deadLetters.map(({ error }) => error.code) }
}

test.each([
  ['of 2999', Date.UTC(2999, 0)],
  ['in µs', start * 1_000],
  ['just beyond the hour', start + hour + 1],
])('one record %s is rejected, and makes no other late', (_, ahead) => {
  const told = played([start, ahead, start + 5, start + 20], start)
  expect(told).toEqual({ starts: [start], rejected: ['WEIR_RECORD_AHEAD'] })
})

test('within the hour it counts, and so it does without a bound', () => {
  expect(played([start, start + hour], start).rejected).toEqual([])
  expect(played([start, Date.UTC(2999, 0)], start, { maxAhead: false }).rejected).toEqual([])
  expect(played([start, start + 11], start, { maxAhead: '10ms' }).rejected).toEqual(['WEIR_RECORD_AHEAD'])
})

test.each([
  ['told by eventTime', [eventTime<{ t: number }>(({ t }) => t)]],
  ['of the source', []],
])('a clock that was ahead, and is set back, lets no time pass any more that it allowed, %s', (_, times) => {
  const declared = flow(
    kafka.source({ topic: 't' }),
    json<{ t: number }>(),
    ...(times as [Timing]),
    aggregate('n', { window: tumbling(10), of: count() }),
    listSink(),
  )
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { everyMs: 50 } })
  const began = virtual.clock.now()
  const append = (at: number, t: number) => virtual.append(at, { t }, { timestamp: t })
  append(0, began)
  append(500, began - hour)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.clock.jump(-3 * hour), 200)
  scheduler.schedule(() => virtual.stop(), 1_000)
  scheduler.flush()
  expect(virtual.deadLetters.map(({ error }) => error.code)).toEqual(['WEIR_RECORD_AHEAD'])
})

test.each([[undefined], [-1]])('with the timestamp %s the clock counts', (timestamp) => {
  expect(played([start, Date.UTC(2999, 0), start + 20], timestamp)).toEqual({
    starts: [start],
    rejected: ['WEIR_RECORD_AHEAD'],
  })
})

test.each([
  ['of the time that its source gives it', []],
  ['of which the value says the same', [eventTime<{ t: number }>(({ t }) => t)]],
])('a timestamp of the future moves nothing either, %s', (_, times) => {
  const ahead = Date.UTC(2999, 0)
  const records = [start, ahead, start + 5, start + 20].map((t) => [t, t] as const)
  expect(told(records, times)).toEqual({ starts: [start], rejected: ['WEIR_RECORD_AHEAD'] })
})

test.each([[Number.NEGATIVE_INFINITY], [8.64e15 + 1], [Number.NaN]])('a lateness error tells %s as well', (time) => {
  expect(lateError(time, time).message).toContain(`${time} ms`)
})
