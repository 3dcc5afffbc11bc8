import { map as rxMap } from 'rxjs'
import { z } from 'zod'
import {
  type Aggregated,
  aggregate,
  batch,
  branch,
  count,
  countDistinct,
  defineOperator,
  eventTime,
  type Flow,
  filter,
  flatMap,
  flow,
  json,
  kafka,
  merge,
  type Operator,
  otherwise,
  postgres,
  type StreamRecord,
  to,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import {
  allTime,
  eachRecord,
  type Model,
  type Random,
  type SimulatedInput,
  type SimulateOptions,
  windowed,
} from '../../src/testing/index.js'

const Visit = z.object({ id: z.number(), user: z.string(), at: z.number() })
type Visit = z.infer<typeof Visit>

/** A flow, what it reads, and what must come out of it. */
export interface Scenario {
  readonly name: string
  readonly flow: Flow
  readonly options: Omit<SimulateOptions, 'seed'>
}

const source = kafka.source({ topic: 'visits' })
const table = <T>() => postgres.sink<T>({ table: 'results', row: (value) => ({ value }) })
const topic = <T>() => kafka.sink<T>({ topic: 'results' })

/** Event times that go on at about the pace of the input, some of them behind. */
function visits(random: Random, sources = 1): SimulatedInput<Visit>[] {
  return Array.from({ length: random.between(20, 120) }, (_, id) => {
    const user = random.pick(['ann', 'bob', 'cem', 'dua', 'eva'])
    const at = Math.max(0, id * 1_000 - random.between(0, 6_000))
    return { value: { id, user, at }, key: user, source: random.between(0, sources - 1), timestamp: at }
  })
}

/** The same, with nothing in the windows left: every partition brings a late time at last. */
function closedVisits(random: Random): SimulatedInput<Visit>[] {
  const some = visits(random).map((visit) =>
    random.chance(0.5) ? visit : { ...visit, partition: random.between(0, 2) },
  )
  const last = [0, 1, 2].map((partition) => {
    return { value: { id: -1, user: 'last', at: 10_000_000 }, key: null, partition, timestamp: 10_000_000 }
  })
  return [...some, ...last]
}

const copies = eachRecord<Visit, Visit>({ results: ({ value }) => [value], idOf: ({ id }) => `visit ${id}` })

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

/** Counts by record key in a store of the record's partition: state that may lie in several processes. */
const counting = defineOperator({
  name: 'counting',
  summary: 'Counts records by key.',
  options: z.strictObject({}),
  stores: () => ['counts'],
  build: (_options, context) => {
    const codec = { version: 1, save: (value: number) => value, load: (saved: unknown) => saved as number }
    const store = context.store<number>('counts', codec)
    return rxMap((record: StreamRecord) => {
      const { topic: from, partition } = record.origin
      const part = store.of(from, partition)
      const key = String(record.key)
      const entry = part.get(0, key) ?? part.add(0, key, 0)
      entry.value++
      part.touch(entry)
      return record.with({ key, value: entry.value })
    })
  },
})
const counts = () => counting.declare({}) as Operator<unknown, Aggregated<number, string>>
const counted = allTime<Visit, number>({ by: ({ user }) => user, result: (all) => all.length })

const windows: Operator<Visit, Windowed<{ visits: number; users: number }>> = aggregate('windows', {
  window: tumbling('10s', { grace: '1s' }),
  of: { visits: count(), users: countDistinct(({ user }) => user) },
})
const byWindow = windowed<Visit, { visits: number; users: number }>({
  sizeMs: 10_000,
  graceMs: 1_000,
  outOfOrderMs: 3_000,
  result: (all) => ({ visits: all.length, users: new Set(all.map(({ user }) => user)).size }),
})
const timed = eventTime((visit: Visit) => visit.at, { outOfOrder: '3s', idleAfter: '30d' })

const userWindows: Operator<Visit, Windowed<number, string>> = aggregate('windows', {
  window: tumbling('20s'),
  by: ({ user }) => user,
  of: count(),
})
const byUserAndWindow = windowed<Visit, number>({
  sizeMs: 20_000,
  outOfOrderMs: 3_000,
  by: ({ user }) => user,
  result: (all) => all.length,
})

const totals: Operator<Visit, Aggregated<number, string>> = aggregate('totals', {
  by: ({ user }) => user,
  of: countDistinct(({ id }) => id),
})

function scenario(
  name: string,
  tried: Flow,
  model: Model,
  input: (random: Random) => readonly SimulatedInput[],
): Scenario {
  return { name, flow: tried, options: { model, input } }
}

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
  scenario('windows, exactly once', flow(source, json(Visit), timed, windows, table()), byWindow, closedVisits),
  scenario(
    'windows by user in batches, exactly once',
    flow(source, json(Visit), timed, userWindows, batch({ size: 3, every: '1s' }), table<unknown>()),
    byUserAndWindow,
    closedVisits,
  ),
  scenario('windows, at least once', flow(source, json(Visit), timed, windows, topic()), byWindow, closedVisits),
  scenario('totals, exactly once', flow(source, json(Visit), totals, table()), counted, visits),
]

/** Which of them a seed runs. */
export function scenarioOf(seed: number): Scenario {
  return scenarios[seed % scenarios.length] as Scenario
}
