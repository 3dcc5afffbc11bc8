import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  type Aggregated,
  aggregate,
  count,
  countDistinct,
  eventTime,
  type Flow,
  flow,
  json,
  type Key,
  kafka,
  keyBy,
  type Operator,
  recordKey,
} from '../../src/index.js'
import { VirtualFlow, type VirtualFlowOptions } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly user: string
  readonly page: number
  readonly time: number
}

interface Bounds {
  readonly ttl?: number | undefined
  readonly maxKeys?: number | undefined
}

interface Total {
  readonly key: string
  /** Undefined when the key is gone. */
  readonly value: { readonly visits: number; readonly pages: number } | undefined
}

const users = ['ann', 'bob', 'cyd', 'dee', 'eve', 'fay', 'guy', 'hal']
const partitionOf = (user: string) => users.indexOf(user) % 3

/** The total of each user after each visit, and who is known at the end: a plain map for each partition, by touch. */
function model(visits: readonly Visit[], { ttl = Infinity, maxKeys = Infinity }: Bounds, partitions: number) {
  const kept = Array.from({ length: partitions }, () => ({
    now: Number.NEGATIVE_INFINITY,
    byUser: new Map<string, { visits: number; pages: Set<number>; at: number }>(),
  }))
  const told = visits.map(({ user, page, time }): Total => {
    const partition = kept[partitionOf(user) % partitions] as (typeof kept)[number]
    const { byUser } = partition
    const now = (partition.now = Math.max(partition.now, time))
    for (const [each, { at }] of byUser) if (now - at >= ttl) byUser.delete(each)
    const { visits: before, pages } = byUser.get(user) ?? { visits: 0, pages: new Set() }
    byUser.delete(user)
    byUser.set(user, { visits: before + 1, pages: pages.add(page), at: now })
    for (const oldest of byUser.keys()) if (byUser.size > maxKeys) byUser.delete(oldest)
    return { key: user, value: { visits: before + 1, pages: pages.size } }
  })
  return { told, known: kept.flatMap(({ byUser }) => [...byUser.keys()]).sort() }
}

function run(
  tried: Flow,
  visits: readonly Visit[],
  options: VirtualFlowOptions,
  partitions: number,
  crashes: number[],
) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(tried, scheduler, options)
  virtual.reserve(partitions - 1)
  for (const [at, visit] of visits.entries())
    virtual.append(at + 1, visit, { partition: partitionOf(visit.user) % partitions, key: visit.user })
  scheduler.schedule(() => virtual.start(), 0)
  for (const at of crashes) {
    scheduler.schedule(() => virtual.crash(), at)
    scheduler.schedule(() => virtual.start(), at)
  }
  scheduler.schedule(() => virtual.stop(), visits.length + 2_000)
  scheduler.flush()
  return virtual.committed.map(({ value }) => value as Total)
}

const visits = fc
  .array(
    fc.record({
      user: fc.constantFrom(...users),
      page: fc.nat(4),
      step: fc.oneof({ weight: 5, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(300) }),
      lag: fc.nat(30),
    }),
    { minLength: 1, maxLength: 80, size: 'max' },
  )
  .map((draws) => {
    let now = 1_000
    return draws.map(({ user, page, step, lag }): Visit => ({ user, page, time: (now += step) - lag }))
  })
const bounds = fc.oneof(
  fc.record<Bounds>({ ttl: fc.integer({ min: 1, max: 400 }) }),
  fc.record<Bounds>({ maxKeys: fc.integer({ min: 1, max: 6 }) }),
  fc.record<Bounds>({ ttl: fc.integer({ min: 1, max: 400 }), maxKeys: fc.integer({ min: 1, max: 6 }) }),
)
const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })
const moments = fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 6 }).map((all) => all.sort((a, b) => a - b))

function declared({ ttl, maxKeys }: Bounds, rekeyed: boolean, gone: 'silent' | 'emit' = 'silent'): Flow {
  const source = [kafka.source({ topic: 'visits' }), json<Visit>()] as const
  const timed = eventTime((visit: Visit) => visit.time, { outOfOrder: 50, idleAfter: '1h' })
  const totals: Operator<Visit, Aggregated<Total['value'], Key>> = aggregate('by-user', {
    by: recordKey,
    gone: gone as 'emit',
    ...(ttl === undefined ? {} : { ttl }),
    ...(maxKeys === undefined ? {} : { maxKeys }),
    of: { visits: count(), pages: countDistinct(({ page }) => page) },
  })
  return rekeyed
    ? flow(
        ...source,
        timed,
        keyBy(({ user }) => user),
        totals,
        listSink(),
      )
    : flow(...source, timed, totals, listSink())
}

describe.each([
  { where: 'in one task', repartition: false, rekeyed: false, partitions: 3 },
  { where: 'in the task that has its partition', repartition: true, rekeyed: false, partitions: 3 },
  // Records of several partitions come to the internal topic in any order, and with it what goes.
  { where: 'over an internal topic', repartition: true, rekeyed: true, partitions: 1 },
])('totals with bounds, $where', ({ repartition, rekeyed, partitions }) => {
  const cutBy = (sizes: readonly number[]): VirtualFlowOptions => ({
    repartition,
    epoch: { maxRecords: 1_000, everyMs: 7 },
    epochSize: (epoch) => sizes[epoch % sizes.length] as number,
  })

  test('are the same wherever epochs are cut, and whatever crashes', () => {
    fc.assert(
      fc.property(bounds, visits, cuts, moments, (given, all, sizes, crashes) => {
        // What the task behind a topic wrote counts as committed when the one before it commits: then only the last does.
        const of = (totals: readonly Total[], user: string) => totals.filter(({ key }) => key === user)
        const byUser = (totals: readonly Total[]) =>
          users.map((user) => (rekeyed ? of(totals, user).slice(-1) : of(totals, user)))
        const told = run(declared(given, rekeyed), all, cutBy(sizes), partitions, crashes)
        expect(byUser(told)).toEqual(byUser(model(all, given, partitions).told))
      }),
      { numRuns: 40 },
    )
  })

  test('leave those who keep them with the keys that are there, and no other', () => {
    fc.assert(
      fc.property(bounds, visits, cuts, moments, (given, all, sizes, crashes) => {
        const told = run(declared(given, rekeyed, 'emit'), all, cutBy(sizes), partitions, crashes)
        const shown = new Map(told.map(({ key, value }) => [key, value]))
        const expected = model(all, given, partitions)
        const last = new Map(expected.told.map(({ key, value }) => [key, value]))
        const isThere = users.filter((user) => shown.get(user) !== undefined)
        expect(isThere).toEqual(expected.known)
        expect(isThere.map((user) => shown.get(user))).toEqual(isThere.map((user) => last.get(user)))
      }),
      { numRuns: 30 },
    )
  })
})
