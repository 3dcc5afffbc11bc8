import {
  aggregate,
  avg,
  collect,
  count,
  countDistinct,
  eventTime,
  flow,
  from,
  json,
  kafka,
  max,
  merge,
  min,
  type Operator,
  sum,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import { type Accounting, type Random, type SimulatedInput, windowed } from '../../src/testing/index.js'
import { inWindows } from './accounting.js'
import { allWindows } from './shared-scenarios.js'
import { closedVisits, type Scenario, scenario, source, table, timed, Visit, visits, windows } from './visits.js'

const whole = { repartition: false } as const
const several = { members: 4 } as const
const users = (all: readonly Visit[]) => ({ visits: all.length, users: new Set(all.map(({ user }) => user)).size })

/** Of two topics one is out of order by far, and the other one is never waited for. */
const patient: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: '12s', idleAfter: '30d' })
const strict: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: 0, idleAfter: '30d' })
const read = json(Visit)
const more = kafka.source({ topic: 'more' })

const byOwnOrder = windowed<Visit, { visits: number; users: number }>({
  sizeMs: 10_000,
  graceMs: 1_000,
  outOfOrderMs: ({ topic }) => (topic === 'visits' ? 12_000 : 0),
  result: users,
})

function disorderedVisits(random: Random): SimulatedInput<Visit>[] {
  const last = [0, 1].flatMap((one) => {
    return [0, 1, 2].map((partition) => {
      const value = { id: -1, user: 'last', at: 10_000_000 }
      return { value, source: one, key: null, partition, timestamp: 10_000_000 }
    })
  })
  const some = visits(random, 2).map((visit) => {
    const { value } = visit
    const at = visit.source === 0 ? Math.max(0, value.at - random.between(0, 6_000)) : value.at
    return { ...visit, value: { ...value, at }, timestamp: at, partition: random.between(0, 2) }
  })
  return [...some, ...last]
}

/** Windows of records that have no other time than their own timestamp. */
const byTimestamp = windowed<Visit, { visits: number; users: number }>({
  sizeMs: 10_000,
  graceMs: 1_000,
  result: users,
})

/**
 * Partitions that go idle together, of which one, which brings nothing more, is far ahead of the others by then: those go
 * on where they stood, at their own pace, so nothing of them is late. As long as things go wrong two of them are busy: else
 * the one ahead could be the last to be read, and alone be awaited.
 */
const resting: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: '7s', idleAfter: '5s' })
const [everyMs, busyMs, restMs, leadMs] = [500, 32_000, 9_000, 150_000]

function restingVisits(random: Random): SimulatedInput<Visit>[] {
  const ahead = [0, 1, 2].map((index): [number, number] => [index * everyMs, 0])
  const busy = Array.from({ length: busyMs / everyMs }, (_, index) => index * everyMs)
  const bursts = [1, 2, 3].flatMap((burst) =>
    Array.from({ length: 4 }, () => busyMs + burst * restMs + random.between(0, 2_000)),
  )
  const others = [...busy, ...bursts].flatMap((at): [number, number][] => [
    [at, 1],
    [at, 2],
  ])
  return [...ahead, ...others]
    .sort(([one], [other]) => one - other)
    .map(([at, partition], id) => {
      const value = { id, user: random.pick(['ann', 'bob']), at: at + (partition === 0 ? leadMs : 0) }
      return { value, partition, at }
    })
}

const shortWindows: Operator<Visit, Windowed<{ visits: number; users: number }>> = aggregate('windows', {
  window: tumbling('3s'),
  of: { visits: count(), users: countDistinct(({ user }) => user) },
})
const rested = flow(source, read, resting, shortWindows, table())
/** What an idle partition has moved on by outlives each of them, or windows that wait for longer never close. */
const restarts = { every: '500ms', restartEvery: '20s' } as const
/** Where several processes share it, a session has to end and a partition to be idle anew before anything moves on. */
const sharedRestarts = { every: '500ms', restartEvery: '40s' } as const

/** Before that time there is what is still sound, and what has moved time to the year 2999. */
const setTo = 60_000
const isBefore = ({ id }: Visit) => id < 0
const isLast = ({ id }: Visit) => id >= 1_000

/** Some of the partitions are poisoned, or all. What comes once time was set back is in order, and then closes what is open. */
function poisonedVisits(random: Random): SimulatedInput<Visit>[] {
  const all = [0, 1, 2]
  const visit = (id: number, at: number, partition: number) => ({
    value: { id, user: 'ann', at },
    partition,
    timestamp: at,
  })
  const sound = Array.from({ length: 12 }, (_, id) => visit(id - 100, random.between(0, setTo), random.pick(all)))
  const poisoned = all.filter((partition) => partition === 0 || random.chance(0.7))
  const ahead = poisoned.map((partition) => visit(partition - 10, Date.UTC(2999, 0, 1), partition))
  const after = Array.from({ length: random.between(20, 60) }, (_, id) =>
    visit(id, setTo + 5_000 + id * 500 - random.between(0, 2_000), random.pick(all)),
  )
  return [
    ...random.shuffle([...sound, ...ahead]),
    ...after,
    ...all.map((partition) => visit(1_000 + partition, 10_000_000, partition)),
  ]
}

/** What is late is nowhere: of what came after time was set back nothing is. */
const afterwards: Accounting<Visit> = {
  ...inWindows,
  idOf: (visit) => (isBefore(visit) || isLast(visit) ? undefined : inWindows.idOf(visit)),
}
const trusting: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, {
  outOfOrder: '3s',
  idleAfter: '30d',
  maxAhead: false,
})
const listed: Operator<Visit, Windowed<{ ids: number[] }>> = aggregate('listed', {
  window: tumbling('3s'),
  of: { ids: collect(({ id }: Visit) => id, { max: 1_000 }) },
})
const poisoned = {
  input: poisonedVisits,
  accounts: afterwards,
  setsTime: { to: setTo, before: isBefore },
  every: '500ms',
} as const

/** Numbers that some visits do not have. */
const numberOf = ({ id }: Visit) => [id, Number.NaN, undefined, null][id % 4]
const isNumber = (number: number | null | undefined): number is number => Number.isFinite(number)

interface Numbers {
  readonly low: number | undefined
  readonly high: number | undefined
  readonly total: number
  readonly mean: number | undefined
}
const numbers: Operator<Visit, Windowed<Numbers>> = aggregate('numbers', {
  window: tumbling('10s', { grace: '1s' }),
  of: { low: min(numberOf), high: max(numberOf), total: sum(numberOf), mean: avg(numberOf) },
})
const byNumbers = windowed<Visit, Numbers>({
  sizeMs: 10_000,
  graceMs: 1_000,
  outOfOrderMs: 3_000,
  result(all) {
    const there = all.map(numberOf).filter(isNumber)
    const total = there.reduce((one, other) => one + other, 0)
    if (there.length === 0) return { low: undefined, high: undefined, total, mean: undefined }
    return { low: Math.min(...there), high: Math.max(...there), total, mean: total / there.length }
  },
})

/** Flows that go by time in other ways: of each input, of the timestamps, of idle partitions, and of what is no number. */
export const timeScenarios: readonly Scenario[] = [
  scenario(
    'windows of two topics, each in its own order, exactly once',
    flow(merge(from(source, read, patient), from(more, read, strict)), windows, table()),
    byOwnOrder,
    disorderedVisits,
    whole,
  ),
  scenario(
    'shared windows of two topics, each in its own order, exactly once',
    flow(merge(from(source, read, patient), from(more, read, strict)), windows, table()),
    byOwnOrder,
    disorderedVisits,
    several,
  ),
  scenario(
    'windows by timestamp, exactly once',
    flow(source, read, windows, table()),
    byTimestamp,
    closedVisits,
    whole,
  ),
  scenario('windows of partitions that rest, exactly once', rested, allWindows, restingVisits, {
    ...whole,
    every: '500ms',
  }),
  scenario('windows of partitions that rest, while processes restart', rested, allWindows, restingVisits, {
    ...whole,
    ...restarts,
  }),
  scenario('shared windows of partitions that rest, while processes restart', rested, allWindows, restingVisits, {
    ...several,
    ...sharedRestarts,
  }),
  {
    name: 'windows after time was set back, exactly once',
    flow: flow(source, read, trusting, listed, table()),
    options: { ...poisoned, ...whole },
  },
  {
    name: 'shared windows after time was set back, exactly once',
    flow: flow(source, read, trusting, listed, table()),
    options: { ...poisoned, ...several },
  },
  scenario(
    'windows of numbers that are none, exactly once',
    flow(source, read, timed, numbers, table()),
    byNumbers,
    closedVisits,
    several,
  ),
]
