import {
  type Aggregated,
  aggregate,
  batch,
  branch,
  count,
  countDistinct,
  filter,
  flatMap,
  flow,
  json,
  kafka,
  map,
  merge,
  type Operator,
  otherwise,
  to,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import { eachRecord, type Fault, faults } from '../../src/testing/index.js'
import { accountedScenarios } from './accounted-scenarios.js'
import { archiveScenarios } from './archive-scenarios.js'
import { faultyScenarios } from './faulty-scenarios.js'
import { keyedScenarios } from './keyed-scenarios.js'
import { largeScenarios } from './large-scenarios.js'
import { orderedScenarios } from './ordered-scenarios.js'
import { retryScenarios } from './retry-scenarios.js'
import { scheduleScenarios } from './schedule-scenarios.js'
import { sharedScenarios } from './shared-scenarios.js'
import { timeScenarios } from './time-scenarios.js'
import { topicScenarios } from './topic-scenarios.js'
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

/** Twice each even visit, and none of the odd ones. */
const doubles = eachRecord<Visit, { visit: number; part: number }>({
  results: ({ value: { id } }) => (id % 2 === 0 ? [1, 2].map((part) => ({ visit: id, part })) : []),
  idOf: ({ visit, part }) => `visit ${visit}.${part}`,
})

const doubled = flow(
  source,
  json(Visit),
  filter(({ id }) => id % 2 === 0),
  flatMap(({ id }) => [1, 2].map((part) => ({ visit: id, part }))),
  table(),
)

/** A value like any other, be there nothing in it, or what by itself would be a tombstone. */
function arrayOf({ id, user }: Visit): readonly unknown[] {
  return [[], [null]][id] ?? [id, [user]]
}
const arrays = eachRecord<Visit, readonly unknown[]>({
  results: ({ value }) => [arrayOf(value)],
  idOf: (array) => `array ${JSON.stringify(array)}`,
})

const userWindows: Operator<Visit, Windowed<number, string>> = aggregate('windows', {
  window: tumbling('20s'),
  by: ({ user }) => user,
  of: count(),
})
const totals: Operator<Visit, Aggregated<number, string>> = aggregate('totals', {
  by: ({ user }) => user,
  of: countDistinct(({ id }) => id),
})

/** In one process, which has all partitions. */
const whole = { repartition: false }

const lingering = { epoch: { linger: '30ms' } } as const
/** The simulated reader asks brokers again that it could not reach with the next epoch, and here nothing but records brings one. */
const within = (Object.keys(faults) as Fault[]).filter((fault) => fault !== 'isolation' && fault !== 'outage')
const long = { every: '1h', faults: within } as const

export const scenarios: readonly Scenario[] = [
  scenario('copies, at least once', flow(source, json(Visit), topic()), copies, visits),
  scenario('copies, exactly once', flow(source, json(Visit), table()), copies, visits),
  scenario('doubles, exactly once', doubled, doubles, visits),
  scenario(
    'two topics in batches, at least once',
    flow(
      merge(source, kafka.source({ topic: 'more' })),
      json(Visit),
      batch({ size: 4, every: '50ms' }),
      topic<Visit>(),
    ),
    copies,
    (random) => visits(random, 2),
  ),
  scenario(
    'a topic and a table',
    flow(
      source,
      json(Visit),
      branch(
        to('even', ({ id }: Visit) => id % 2 === 0, table()),
        otherwise('odd', topic()),
      ),
    ),
    copies,
    visits,
  ),
  scenario('counts by key, exactly once', flow(source, json(Visit), counts(), table()), counted, visits),
  scenario('counts by key, at least once', flow(source, json(Visit), counts(), topic()), counted, visits),
  scenario('windows, exactly once', flow(source, json(Visit), timed, windows, table()), byWindow, closedVisits, whole),
  scenario(
    'windows by user in batches, exactly once',
    flow(source, json(Visit), timed, userWindows, batch({ size: 3, every: '1s' }), table<unknown>()),
    byUserAndWindow,
    closedVisits,
    whole,
  ),
  scenario('windows, at least once', flow(source, json(Visit), timed, windows, topic()), byWindow, closedVisits, whole),
  scenario('arrays, exactly once', flow(source, json(Visit), map(arrayOf), table()), arrays, visits),
  scenario(
    'arrays in batches, at least once',
    flow(source, json(Visit), map(arrayOf), batch({ size: 4, every: '50ms' }), topic<unknown>()),
    arrays,
    visits,
  ),
  scenario('totals, exactly once', flow(source, json(Visit), totals, table()), counted, visits, whole),
  scenario('hopping windows, exactly once', flow(source, json(Visit), timed, hops, table()), byHop, lateVisits, whole),
  ...sharedScenarios,
  ...accountedScenarios,
  ...topicScenarios,
  ...faultyScenarios,
  ...orderedScenarios,
  ...largeScenarios,
  ...keyedScenarios,
  ...timeScenarios,
  ...archiveScenarios,
  ...retryScenarios,
  ...scheduleScenarios,
  // Nothing but that they linger ends epochs that are not full.
  scenario('lingering copies, exactly once', flow(source, json(Visit), table()).with(lingering), copies, visits, long),
  scenario(
    'lingering windows, at least once',
    flow(source, json(Visit), timed, windows, topic()).with(lingering),
    byWindow,
    closedVisits,
    { ...whole, ...long },
  ),
]

/** The scenario of that name. */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((one) => one.name === name)
  if (found !== undefined) return found
  throw new RangeError(`there is no scenario '${name}', but ${scenarios.map((one) => `'${one.name}'`).join(', ')}`)
}

/** Which of them a seed runs. */
export function scenarioOf(seed: number): Scenario {
  return scenarios[seed % scenarios.length] as Scenario
}
