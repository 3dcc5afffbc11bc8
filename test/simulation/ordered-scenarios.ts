import { aggregate, collect, flow, json, type Operator, tumbling, type Windowed } from '../../src/index.js'
import { type LoggedInput, type Model, windowed } from '../../src/testing/index.js'
import { closedVisits, type Scenario, source, table, timed, Visit } from './visits.js'

type Order = readonly [streamTime: number, partition: number, offset: number]
type Ordered = Visit & { readonly order: Order }

const listed: Operator<Visit, Windowed<number[]>> = aggregate('listed', {
  window: tumbling('10s', { grace: '1s' }),
  of: collect(({ id }: Visit) => id, { max: 1_000 }),
})

const lists = windowed<Ordered, number[]>({
  sizeMs: 10_000,
  graceMs: 1_000,
  outOfOrderMs: 3_000,
  time: ({ at }) => at,
  result: (all) => [...all].sort((one, other) => compare(one.order, other.order)).map(({ id }) => id),
})

function compare(one: Order, other: Order): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2]
}

/** Each with its partition's stream time and its place, by which lists are ordered. */
function placed(input: readonly LoggedInput<Visit>[]): LoggedInput<Ordered>[] {
  const streamTimes = new Map<number, number>()
  return input.map((record) => {
    const { partition, offset, value } = record
    const streamTime = Math.max(value.at, streamTimes.get(partition) ?? 0)
    streamTimes.set(partition, streamTime)
    return { ...record, value: { ...value, order: [streamTime, partition, offset] } }
  })
}

const inOrder: Model = {
  ...lists,
  expected: (input) => lists.expected(placed(input) as LoggedInput<never>[]),
}

/** Of which only the last few are kept. */
const newest: Operator<Visit, Windowed<number[]>> = aggregate('listed', {
  window: tumbling('10s', { grace: '1s' }),
  of: collect(({ id }: Visit) => id, { max: 3 }),
})
const lastOnes: Model = {
  ...inOrder,
  *expected(input) {
    for (const result of inOrder.expected(input)) yield { ...result, value: (result.value as number[]).slice(-3) }
  },
}

const tried = flow(source, json(Visit), timed, listed, table())
const options = { model: inOrder, input: closedVisits }

/** Lists are the same, item by item, whatever crashes and wherever partitions lie. */
export const orderedScenarios: readonly Scenario[] = [
  { name: 'lists in order, exactly once', flow: tried, options: { ...options, repartition: false } },
  { name: 'shared lists in order, exactly once', flow: tried, options: { ...options, members: 4 } },
  {
    name: 'the last of shared lists, exactly once',
    flow: flow(source, json(Visit), timed, newest, table()),
    options: { ...options, model: lastOnes, members: 4 },
  },
]
