import {
  aggregate,
  batch,
  collect,
  count,
  countDistinct,
  eventTime,
  flatMap,
  flow,
  json,
  type Key,
  kafka,
  keyBy,
  merge,
  type Operator,
  recordKey,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import { type Fault, faults, type Model, type Random, type SimulatedInput } from '../../src/testing/index.js'
import {
  byHop,
  byUserAndWindow,
  byWindow,
  closedVisits,
  copies,
  counted,
  counts,
  hops,
  lateVisits,
  overtaken,
  type Scenario,
  scenario,
  source,
  table,
  timed,
  topic,
  Visit,
  visits,
  windows,
} from './visits.js'

const several = { members: 4 }
const exactlyOnce = { guarantee: 'exactly-once' } as const

const byKey: Operator<Visit, Windowed<number, Key>> = aggregate('windows', {
  window: tumbling('20s'),
  by: recordKey,
  of: count(),
})

/** Records of a user in any partition. */
function scattered(random: Random): SimulatedInput<Visit>[] {
  return visits(random).map((visit) => ({ ...visit, partition: random.between(0, 2) }))
}

/** The same of two topics, each of which brings late times at last. */
function closedVisitsOfTwo(random: Random): SimulatedInput<Visit>[] {
  return closedVisits(random).flatMap((visit) =>
    visit.value.id < 0 ? [0, 1].map((one) => ({ ...visit, source: one })) : { ...visit, source: random.between(0, 1) },
  )
}

/** Records of a user in one partition, and then a late time in each. */
function keyedVisits(random: Random): SimulatedInput<Visit>[] {
  return closedVisits(random).map(({ partition, ...visit }) =>
    visit.key === null && partition !== undefined ? { ...visit, partition } : visit,
  )
}

/**
 * Partitions that bring nothing for long: times are those at which records are written. That a partition is idle may be
 * taken for true for 6 s after it has ceased to be: told of an end that was asked for 3 s before, and told for 3 s.
 */
const idling: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: '7s', idleAfter: '1s' })
const shortWindows: Operator<Visit, Windowed<{ visits: number; users: number }>> = aggregate('windows', {
  window: tumbling('3s'),
  of: { visits: count(), users: countDistinct(({ user }) => user) },
})

/** Some partitions are busy, others bring one record now and then. */
function sparseVisits(random: Random): SimulatedInput<Visit>[] {
  let at = 0
  return Array.from({ length: random.between(30, 120) }, (_, id) => {
    at += random.wait(250)
    const partition = random.pick([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    return { value: { id, user: random.pick(['ann', 'bob', 'cem']), at }, partition, at }
  })
}

/** Every record counts, and every window closes: nobody waits for who brings nothing. */
export const allWindows: Model = {
  *expected(input) {
    const groups = new Map<number, Visit[]>()
    for (const { value } of input as readonly { value: Visit }[]) {
      const start = Math.floor(value.at / 3_000) * 3_000
      groups.set(start, [...(groups.get(start) ?? []), value])
    }
    for (const [start, all] of groups) {
      const value = { visits: all.length, users: new Set(all.map(({ user }) => user)).size }
      yield { id: String(start), value, due: { closes: start + 3_000 } }
    }
  },
  identify(output) {
    const { window, value } = output as Windowed<unknown>
    return { id: String(window.start.getTime()), value }
  },
}

/** Partitions of which two trail behind the first by far: what wakes them up is too late, or not, for windows elsewhere. */
function trailingVisits(random: Random): SimulatedInput<Visit>[] {
  const trail = [0, random.between(1_000, 20_000), random.between(5_000, 120_000)]
  return sparseVisits(random).map(({ partition = 0, at = 0, value }) => {
    return { value: { ...value, at: at + 120_000 - (trail[partition] ?? 0) }, partition, at }
  })
}

const window = tumbling('3s')
const ids = collect(({ id }: Visit) => id, { max: 1_000 })
const collected: Operator<Visit, Windowed<number[]>> = aggregate('windows', { window, of: ids, late: 'dead-letter' })
const collectedByUser: Operator<Visit, Windowed<number[], string>> = aggregate('windows', {
  window,
  of: ids,
  late: 'dead-letter',
  by: ({ user }) => user,
})
const eachVisit: Operator<Windowed<number[], string | null>, { id: number }> = flatMap(({ value }) =>
  value.map((id) => ({ id })),
)

/** Every record is in a result or a dead letter, and there as itself: with the place and the bytes that were read. */
const accounted: Model = {
  *expected(input) {
    for (const { value } of input as readonly { value: Visit }[])
      yield { id: `visit ${value.id}`, value: { id: value.id } }
  },
  identify: (output) => ({ id: `visit ${(output as Visit).id}`, value: output }),
  rejected: ({ origin }) => `visit ${(JSON.parse(String(origin.value)) as Visit).id}`,
}

/** Clocks that jump take the chances of the faults that tell one partition's time from another's: a scenario of its own has them. */
const allButClock = (Object.keys(faults) as Fault[]).filter((fault) => fault !== 'clock')

/** Flows of which several processes share the source: they are cut, and an internal topic leads from one part to the next. */
export const sharedScenarios: readonly Scenario[] = [
  scenario(
    'shared windows, exactly once',
    flow(source, json(Visit), timed, windows, table()),
    byWindow,
    closedVisits,
    several,
  ),
  scenario(
    'shared windows, at least once',
    flow(source, json(Visit), timed, windows, topic()),
    byWindow,
    closedVisits,
    several,
  ),
  scenario(
    'keyed windows in batches, exactly once',
    flow(
      source,
      json(Visit),
      timed,
      keyBy(({ user }) => user),
      byKey,
      batch({ size: 3, every: '1s' }),
      table<unknown>(),
    ),
    byUserAndWindow,
    closedVisits,
    several,
  ),
  scenario(
    'keyed counts, exactly once',
    flow(
      source,
      json(Visit),
      keyBy(({ user }) => user),
      counts(),
      table(),
    ),
    counted,
    scattered,
    several,
  ),
  scenario(
    'windows of partitions, exactly once',
    flow(source, json(Visit), timed, byKey, table()),
    byUserAndWindow,
    keyedVisits,
    several,
  ),
  scenario(
    'shared windows of idle partitions, exactly once',
    flow(source, json(Visit), idling, shortWindows, table()),
    allWindows,
    sparseVisits,
    { ...several, every: '500ms' },
  ),
  scenario(
    'shared hopping windows, exactly once',
    flow(source, json(Visit), timed, hops, table()),
    byHop,
    lateVisits,
    several,
  ),
  scenario(
    'sparse records out of order, exactly once',
    flow(source, json(Visit), idling, overtaken(), shortWindows, table()),
    allWindows,
    sparseVisits,
    { ...several, every: '500ms' },
  ),
  scenario(
    'windows of two topics, exactly once',
    flow(merge(source, kafka.source({ topic: 'more' })), json(Visit), timed, windows, table()),
    byWindow,
    closedVisitsOfTwo,
    several,
  ),
  scenario(
    'windows and dead letters of trailing partitions, exactly once',
    flow(source, json(Visit), idling, collected, eachVisit, table()),
    accounted,
    trailingVisits,
    { ...several, faults: allButClock, every: '500ms' },
  ),
  scenario(
    'windows by user and dead letters of trailing partitions, exactly once',
    flow(source, json(Visit), idling, collectedByUser, eachVisit, table()),
    accounted,
    trailingVisits,
    { ...several, faults: allButClock, every: '500ms' },
  ),
  scenario(
    'windows and dead letters of partitions that trail under clocks that jump, exactly once',
    flow(source, json(Visit), idling, collected, eachVisit, table()),
    accounted,
    trailingVisits,
    { ...several, every: '500ms' },
  ),
  scenario('transactions, exactly once', flow(source, json(Visit), topic()).with(exactlyOnce), copies, visits, several),
  scenario(
    'shared windows in transactions, exactly once',
    flow(source, json(Visit), timed, windows, topic()).with(exactlyOnce),
    byWindow,
    closedVisits,
    several,
  ),
]
