import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { aggregate, count, countDistinct, eventTime, flow, json, kafka, tumbling } from '../../src/index.js'
import { VirtualFlow, type VirtualFlowOptions, type Written } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly user: string
  readonly time: number
  readonly partition: number
}

const sizeMs = 10_000
const outOfOrderMs = 3_000
const partitions = 3

/** What must come out, computed from all records at once: a plain loop over each partition in its own order. */
function model(visits: readonly Visit[]) {
  const windows = new Map<number, { users: Set<string>; views: number }>()
  const streamTimes = Array.from({ length: partitions }, () => Number.NEGATIVE_INFINITY)
  let late = 0
  for (const { user, time, partition } of visits) {
    streamTimes[partition] = Math.max(streamTimes[partition] as number, time)
    const start = Math.floor(time / sizeMs) * sizeMs
    if (start + sizeMs <= streamTimes[partition] - outOfOrderMs) {
      late++
      continue
    }
    const window = windows.get(start) ?? { users: new Set(), views: 0 }
    windows.set(start, window)
    window.users.add(user)
    window.views++
  }
  const watermark = Math.min(...streamTimes) - outOfOrderMs
  const closed = [...windows].filter(([start]) => start + sizeMs <= watermark).sort(([a], [b]) => a - b)
  return { late, closed: closed.map(([start, { users, views }]) => ({ start, users: users.size, views })) }
}

const declared = flow(
  kafka.source({ topic: 'visits' }),
  json<Visit>(),
  eventTime((visit) => visit.time, { outOfOrder: outOfOrderMs, idleAfter: '1h' }),
  aggregate('visits', {
    window: tumbling(sizeMs),
    late: 'dead-letter',
    of: { users: countDistinct((visit) => visit.user), views: count() },
  }),
  listSink(),
)

function run(visits: readonly Visit[], options: VirtualFlowOptions, crashes: readonly number[] = []) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, options)
  for (let partition = 0; partition < partitions; partition++) virtual.reserve(partition)
  for (const [at, visit] of visits.entries()) virtual.append(at + 1, visit, { partition: visit.partition })
  scheduler.schedule(() => virtual.start(), 0)
  for (const at of crashes) {
    scheduler.schedule(() => virtual.crash(), at)
    scheduler.schedule(() => virtual.start(), at)
  }
  scheduler.schedule(() => virtual.stop(), visits.length + 200_000)
  scheduler.flush()
  return virtual
}

function results(written: readonly Written[]) {
  return written.map(({ value }) => {
    const { window, value: counted } = value as { window: { start: Date }; value: object }
    return { start: window.start.getTime(), ...counted }
  })
}

const visit = fc.record({
  user: fc.constantFrom('ann', 'bob', 'cyd', 'dee'),
  partition: fc.nat(partitions - 1),
  step: fc.nat(2_000),
  lag: fc.oneof(fc.nat(2_000), fc.nat(30_000)),
})

/** Records whose event time moves on, some of them late. */
const stream = fc.array(visit, { maxLength: 120, size: 'max' }).map((draws) => {
  let now = 0
  return draws.map(({ user, partition, step, lag }): Visit => {
    now += step
    return { user, partition, time: Math.max(0, now - (lag > 2_000 ? lag : lag % 500)) }
  })
})

describe.each([
  { where: 'in one task', repartition: false },
  { where: 'over an internal topic', repartition: true },
])('$where', { timeout: 90_000 }, ({ repartition }) => {
  test('windows do not depend on where epochs are cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (visits, cuts) => {
        const virtual = run(visits, {
          repartition,
          epoch: { maxRecords: 1_000, everyMs: 1_000 },
          epochSize: (epoch) => cuts[epoch % cuts.length] as number,
        })
        const expected = model(visits)
        expect(results(virtual.committed)).toEqual(expected.closed)
        expect(virtual.deadLetters.map(({ error }) => error.code)).toEqual(
          Array(expected.late).fill('WEIR_RECORD_LATE'),
        )
      }),
      { numRuns: 60 },
    )
  })

  test('windows are the same after crashes at any moment', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }), (visits, crashes) => {
        const moments = [...crashes].sort((a, b) => a - b)
        const virtual = run(visits, { repartition, epoch: { maxRecords: 5, everyMs: 1_000 } }, moments)
        expect(results(virtual.committed)).toEqual(model(visits).closed)
      }),
      { numRuns: 60 },
    )
  })

  test('windows are the same when writes fail and epochs are replayed', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 8 }), (visits, failing) => {
        let write = 0
        const virtual = run(visits, {
          repartition,
          epoch: { maxRecords: 9, everyMs: 1_000 },
          beforeWrite: () => {
            if (failing.includes(write++)) throw new Error('the sink is away')
          },
        })
        expect(results(virtual.committed)).toEqual(model(visits).closed)
      }),
      { numRuns: 60 },
    )
  })
})
