import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  aggregate,
  count,
  countDistinct,
  eventTime,
  type Flow,
  flow,
  hopping,
  json,
  kafka,
  tumbling,
} from '../../src/index.js'
import { VirtualFlow, type VirtualFlowOptions, type Written } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly user: string
  readonly time: number
  readonly partition: number
}

interface Spec {
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}

const tens: Spec = { sizeMs: 10_000, advanceMs: 10_000, graceMs: 0 }
const outOfOrderMs = 3_000
const partitions = 3

/** What must come out, computed from all records at once: a plain loop over each partition in its own order. */
function model(visits: readonly Visit[], { sizeMs, advanceMs, graceMs }: Spec) {
  const windows = new Map<number, { users: Set<string>; views: number }>()
  const streamTimes = Array.from({ length: partitions }, () => Number.NEGATIVE_INFINITY)
  let late = 0
  for (const { user, time, partition } of visits) {
    const streamTime = Math.max(streamTimes[partition] as number, time)
    streamTimes[partition] = streamTime
    const starts = startsOf(time, sizeMs, advanceMs)
    const open = starts.filter((start) => start + sizeMs + graceMs > streamTime - outOfOrderMs)
    if (open.length === 0) late++
    for (const start of open) {
      const window = windows.get(start) ?? { users: new Set(), views: 0 }
      windows.set(start, window)
      window.users.add(user)
      window.views++
    }
  }
  const watermark = Math.min(...streamTimes) - outOfOrderMs
  const all = [...windows]
    .sort(([a], [b]) => a - b)
    .map(([start, { users, views }]) => ({ start, users: users.size, views }))
  return { late, all, closed: all.filter(({ start }) => start + sizeMs + graceMs <= watermark) }
}

/** Every multiple of the advance, as far as its window holds the time. */
function startsOf(time: number, sizeMs: number, advanceMs: number): number[] {
  const starts: number[] = []
  for (let start = Math.floor(time / advanceMs) * advanceMs; start + sizeMs > time; start -= advanceMs)
    starts.unshift(start)
  return starts
}

function declared({ sizeMs, advanceMs, graceMs }: Spec, emit: 'final' | 'changes' | 'epoch' = 'final') {
  const grace = graceMs
  return flow(
    kafka.source({ topic: 'visits' }),
    json<Visit>(),
    eventTime((visit) => visit.time, { outOfOrder: outOfOrderMs, idleAfter: '1h' }),
    aggregate('visits', {
      window: sizeMs === advanceMs ? tumbling(sizeMs, { grace }) : hopping(sizeMs, { advance: advanceMs, grace }),
      emit,
      late: 'dead-letter',
      of: { users: countDistinct((visit: Visit) => visit.user), views: count() },
    }),
    listSink(),
  )
}

function run(
  tried: Flow,
  visits: readonly Visit[],
  options: VirtualFlowOptions,
  crashes: readonly number[] = [],
): VirtualFlow {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(tried, scheduler, options)
  for (let partition = 0; partition < partitions; partition++) virtual.reserve(partition)
  for (const [at, visit] of visits.entries()) virtual.append(at + 1, visit, { partition: visit.partition })
  scheduler.schedule(() => virtual.start(), 0)
  for (const at of crashes) {
    scheduler.schedule(() => virtual.crash(), at)
    scheduler.schedule(() => virtual.start(), at)
  }
  // Eight failures in a row are retried after half a second, then after twice as long each time, 30 s at most.
  const restMs = options.beforeWrite === undefined ? 10_000 : 120_000
  scheduler.schedule(() => virtual.stop(), visits.length + restMs)
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

/** Windows that overlap, by an advance that need not divide their size. */
const hops = fc
  .record({ size: fc.integer({ min: 1, max: 40 }), by: fc.integer({ min: 1, max: 40 }), grace: fc.nat(8) })
  .map(({ size, by, grace }): Spec => {
    return { sizeMs: 500 * Math.max(size, by), advanceMs: 500 * Math.min(size, by), graceMs: 500 * grace }
  })
const cutSizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 })
const moments = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 6 }).map((all) => all.sort((a, b) => a - b))

describe.each([
  { windows: 'tumbling windows', where: 'in one task', repartition: false, specs: fc.constant(tens), numRuns: 60 },
  {
    windows: 'tumbling windows',
    where: 'over an internal topic',
    repartition: true,
    specs: fc.constant(tens),
    numRuns: 60,
  },
  { windows: 'hopping windows', where: 'in one task', repartition: false, specs: hops, numRuns: 30 },
  { windows: 'hopping windows', where: 'over an internal topic', repartition: true, specs: hops, numRuns: 30 },
])('$windows, $where', { timeout: 90_000 }, ({ repartition, specs, numRuns }) => {
  test('do not depend on where epochs are cut', () => {
    fc.assert(
      fc.property(specs, stream, cutSizes, (spec, visits, cuts) => {
        const virtual = run(declared(spec), visits, {
          repartition,
          epoch: { maxRecords: 1_000, everyMs: 1_000 },
          epochSize: (epoch) => cuts[epoch % cuts.length] as number,
        })
        const expected = model(visits, spec)
        expect(results(virtual.committed)).toEqual(expected.closed)
        expect(virtual.deadLetters.map(({ error }) => error.code)).toEqual(
          Array(expected.late).fill('WEIR_RECORD_LATE'),
        )
      }),
      { numRuns },
    )
  })

  test('are the same after crashes at any moment', () => {
    fc.assert(
      fc.property(specs, stream, moments, (spec, visits, crashes) => {
        const options = { repartition, epoch: { maxRecords: 5, everyMs: 1_000 } }
        const virtual = run(declared(spec), visits, options, crashes)
        expect(results(virtual.committed)).toEqual(model(visits, spec).closed)
      }),
      { numRuns },
    )
  })

  test('are the same when writes fail and epochs are replayed', () => {
    fc.assert(
      fc.property(
        specs,
        stream,
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 8 }),
        (spec, visits, failing) => {
          let write = 0
          const virtual = run(declared(spec), visits, {
            repartition,
            epoch: { maxRecords: 9, everyMs: 1_000 },
            beforeWrite: () => {
              if (failing.includes(write++)) throw new Error('the sink is away')
            },
          })
          expect(results(virtual.committed)).toEqual(model(visits, spec).closed)
        },
      ),
      { numRuns },
    )
  })
})

test('a window that ends at the watermark itself is whole, over an internal topic too', () => {
  const visits = [0, 1, 2].flatMap((partition): Visit[] => [
    { user: 'ann', time: 9_000 + partition, partition },
    { user: 'bob', time: 13_000, partition },
  ])
  const virtual = run(declared(tens), visits, { repartition: true, epoch: { maxRecords: 1_000, everyMs: 1_000 } })
  expect(results(virtual.committed)).toEqual([{ start: 0, users: 1, views: 3 }])
  expect(virtual.deadLetters).toEqual([])
})

test.each([
  { where: 'in one task', repartition: false },
  { where: 'over an internal topic', repartition: true },
])('the last of the changes that are told of a window has every record, $where', ({ repartition }) => {
  const emits = fc.constantFrom('changes' as const, 'epoch' as const)
  fc.assert(
    fc.property(emits, hops, stream, moments, (emit, spec, visits, crashes) => {
      const options = { repartition, epoch: { maxRecords: 5, everyMs: 1_000 } }
      const virtual = run(declared(spec, emit), visits, options, crashes)
      const last = new Map(results(virtual.committed).map((result) => [result.start, result]))
      expect([...last.values()].sort((a, b) => a.start - b.start)).toEqual(model(visits, spec).all)
    }),
    { numRuns: 30 },
  )
})
