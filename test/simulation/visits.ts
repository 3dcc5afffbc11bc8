import { mergeMap, map as rxMap, timer } from 'rxjs'
import { z } from 'zod'
import {
  type Aggregated,
  aggregate,
  count,
  countDistinct,
  defineOperator,
  eventTime,
  type Flow,
  hopping,
  kafka,
  type Operator,
  postgres,
  type StreamRecord,
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

export const Visit = z.object({ id: z.number(), user: z.string(), at: z.number() })
export type Visit = z.infer<typeof Visit>

/** A flow, what it reads, and what must come out of it. */
export interface Scenario {
  readonly name: string
  readonly flow: Flow
  readonly options: Omit<SimulateOptions, 'seed'>
}

export function scenario(
  name: string,
  tried: Flow,
  model: Model,
  input: (random: Random) => readonly SimulatedInput[],
  options: Partial<SimulateOptions> = {},
): Scenario {
  return { name, flow: tried, options: { model, input, ...options } }
}

export const source = kafka.source({ topic: 'visits' })
export const table = <T>() => postgres.sink<T>({ table: 'results', row: (value) => ({ value }) })
export const topic = <T>() => kafka.sink<T>({ topic: 'results' })

/** Event times that go on at about the pace of the input, some of them behind. */
export function visits(random: Random, sources = 1): SimulatedInput<Visit>[] {
  return Array.from({ length: random.between(20, 120) }, (_, id) => {
    const user = random.pick(['ann', 'bob', 'cem', 'dua', 'eva'])
    const at = Math.max(0, id * 1_000 - random.between(0, 6_000))
    return { value: { id, user, at }, key: user, source: random.between(0, sources - 1), timestamp: at }
  })
}

/** The same, with nothing in the windows left: every partition brings a late time at last. */
export function closedVisits(random: Random): SimulatedInput<Visit>[] {
  const some = visits(random).map((visit) =>
    random.chance(0.5) ? visit : { ...visit, partition: random.between(0, 2) },
  )
  const last = [0, 1, 2].map((partition) => {
    return { value: { id: -1, user: 'last', at: 10_000_000 }, key: null, partition, timestamp: 10_000_000 }
  })
  return [...some, ...last]
}

/** Some of them so late that windows have closed: not all of those that overlap. */
export function lateVisits(random: Random): SimulatedInput<Visit>[] {
  return closedVisits(random).map((visit) => {
    const { value } = visit
    const isLate = value.id >= 0 && random.chance(0.2)
    const at = Math.max(0, value.at - 7_000)
    return isLate ? { ...visit, value: { ...value, at }, timestamp: at } : visit
  })
}

export const copies = eachRecord<Visit, Visit>({ results: ({ value }) => [value], idOf: ({ id }) => `visit ${id}` })

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
export const counts = () => counting.declare({}) as Operator<unknown, Aggregated<number, string>>
export const counted = allTime<Visit, number>({ by: ({ user }) => user, result: (all) => all.length })

export const windows: Operator<Visit, Windowed<{ visits: number; users: number }>> = aggregate('windows', {
  window: tumbling('10s', { grace: '1s' }),
  of: { visits: count(), users: countDistinct(({ user }) => user) },
})
export const byWindow = windowed<Visit, { visits: number; users: number }>({
  sizeMs: 10_000,
  graceMs: 1_000,
  outOfOrderMs: 3_000,
  result: (all) => ({ visits: all.length, users: new Set(all.map(({ user }) => user)).size }),
})
export const timed = eventTime((visit: Visit) => visit.at, { outOfOrder: '3s', idleAfter: '30d' })

/** Windows of which each shares slices of time with two others. */
export const hops: Operator<Visit, Windowed<{ visits: number; users: number }>> = aggregate('hops', {
  window: hopping('20s', { advance: '8s', grace: '1s' }),
  of: { visits: count(), users: countDistinct(({ user }) => user) },
})
export const byHop = windowed<Visit, { visits: number; users: number }>({
  sizeMs: 20_000,
  advanceMs: 8_000,
  graceMs: 1_000,
  outOfOrderMs: 3_000,
  result: (all) => ({ visits: all.length, users: new Set(all.map(({ user }) => user)).size }),
})

/** Lets records overtake each other, as `mapAsync` does with `ordered: false`. */
const overtaking = defineOperator({
  name: 'overtaking',
  summary: 'Holds some records back.',
  options: z.strictObject({}),
  reorders: () => true,
  build: (_options, { clock }) =>
    mergeMap(
      (record: StreamRecord) => timer((record.origin.offset * 7) % 5, clock.scheduler).pipe(rxMap(() => record)),
      8,
    ),
})
export const overtaken = () => overtaking.declare({}) as Operator<Visit, Visit>

export const byUserAndWindow = windowed<Visit, number>({
  sizeMs: 20_000,
  outOfOrderMs: 3_000,
  by: ({ user }) => user,
  result: (all) => all.length,
})
