import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  type Aggregate,
  type Aggregates,
  aggregate,
  avg,
  collect,
  count,
  countDistinct,
  eventTime,
  type Flow,
  flow,
  hopping,
  json,
  kafka,
  max,
  min,
  sum,
  topK,
  tumbling,
} from '../../src/index.js'
import { VirtualFlow, type VirtualFlowOptions } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

interface Item {
  readonly at: number
  readonly t: number
  readonly v: unknown
  readonly key?: string | undefined
  readonly partition?: number
}

interface Told {
  readonly key: unknown
  readonly start: number
  readonly value: unknown
}

/** What a flow has told when these items came, and the process died at these moments. */
function told(
  declared: Flow,
  items: readonly Item[],
  crashes: readonly number[],
  options: VirtualFlowOptions = {},
): Told[] {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords: 1_000, everyMs: 20 }, ...options })
  virtual.reserve(0)
  for (const { at, partition = 0, key = null, ...value } of items)
    virtual.append(at, { ...value, key }, { partition, key })
  scheduler.schedule(() => virtual.start(), 0)
  for (const at of crashes) scheduler.schedule(() => (virtual.crash(), virtual.start()), at)
  scheduler.schedule(() => virtual.stop(), 1_000)
  scheduler.schedule(() => virtual.crash(), 1_200)
  scheduler.flush()
  return virtual.committed.map(({ value }) => {
    const { key, window, value: result } = value as { key: unknown; window: { start: Date }; value: unknown }
    return { key, start: window.start.getTime(), value: result }
  })
}

const hops = (of: Aggregates<Item>, keyed = false) =>
  flow(
    kafka.source({ topic: 't' }),
    json<Item>(),
    eventTime(({ t }) => t, { outOfOrder: 100, idleAfter: '1d' }),
    aggregate('w', {
      window: hopping(10, { advance: 5 }),
      of: of as never,
      by: ({ key }: Item) => (keyed ? (key ?? null) : null),
    } as never),
    listSink(),
  )

describe('collect in hopping windows', () => {
  test.each([[[]], [[150]], [[250]]])('is the same whatever crashes: %j', (crashes) => {
    const items = [
      { at: 1, t: 100, v: 'a' },
      { at: 100, t: 105, v: 'b' },
      { at: 200, t: 101, v: 'c' },
      { at: 300, t: 1_000, v: 'end' },
    ]
    const results = told(hops(collect(({ v }: Item) => v, { max: 10 })), items, crashes)
    expect(results.find(({ start }) => start === 100)?.value).toEqual(['a', 'b', 'c'])
  })

  test.each([[[]], [[150]], [[250]]])('keeps the newest, whatever crashes: %j', (crashes) => {
    const items = [
      { at: 1, t: 100, v: 'a' },
      { at: 100, t: 104, v: 'b' },
      { at: 200, t: 105, v: 'c' },
      { at: 300, t: 1_000, v: 'end' },
    ]
    const results = told(hops(collect(({ v }: Item) => v, { max: 2 })), items, crashes)
    expect(results.find(({ start }) => start === 100)?.value).toEqual(['b', 'c'])
  })

  test('is not decided by records of another key', () => {
    const items = [
      { at: 1, t: 107, v: 1, key: 'ann' },
      { at: 2, t: 101, v: 2, key: 'bob' },
      { at: 3, t: 108, v: 3, key: 'bob' },
      { at: 300, t: 1_000, v: 'end' },
    ]
    const results = told(
      hops(
        collect(({ v }: Item) => v, { max: 1 }),
        true,
      ),
      items,
      [],
    )
    expect(results.find(({ start, key }) => start === 100 && key === 'bob')?.value).toEqual([3])
  })
})

test('a sum of fractions is the same to the last digit, whatever crashes', () => {
  const items = [
    { at: 1, t: 100, v: 0.1 },
    { at: 100, t: 105, v: 0.2 },
    { at: 200, t: 110, v: 0.3 },
    { at: 300, t: 1_000, v: 0 },
  ]
  const declared = flow(
    kafka.source({ topic: 't' }),
    json<Item>(),
    eventTime(({ t }) => t, { outOfOrder: 100, idleAfter: '1d' }),
    aggregate('w', { window: hopping(15, { advance: 5 }), of: sum(({ v }: Item) => v as number) }),
    listSink(),
  )
  const seen = [[], [150], [250], [150, 250]].map(
    (crashes) => told(declared, items, crashes).find(({ start }) => start === 100)?.value,
  )
  expect(new Set(seen).size, JSON.stringify(seen)).toBe(1)
})

test.each([[false], [true]])('collect over partitions keeps the newest (internal topic: %j)', (repartition) => {
  const declared = flow(
    kafka.source({ topic: 't' }),
    json<Item>(),
    eventTime(({ t }) => t, { idleAfter: '1d' }),
    aggregate('w', { window: tumbling(10), of: collect(({ v }: Item) => v, { max: 2 }) }),
    listSink(),
  )
  const items = [
    { at: 1, t: 1, v: 'old', partition: 1 },
    { at: 2, t: 2, v: 'old', partition: 1 },
    { at: 3, t: 8, v: 'new', partition: 0 },
    { at: 4, t: 9, v: 'new', partition: 0 },
    { at: 5, t: 100, v: 'end', partition: 0 },
    { at: 6, t: 100, v: 'end', partition: 1 },
  ]
  const [first] = told(declared, items, [], { repartition })
  expect(first?.value).toEqual(['new', 'new'])
})

const number = ({ v }: Item) => v as number

/** Minds the order in which it is given values, and nothing else. */
const last: Aggregate<Item, number | null, number | null> = {
  init: () => null,
  add: (_, { v }) => v as number,
  merge: (before, after) => after ?? before,
  result: (value) => value,
}

const everything = {
  count: count<Item>(),
  sum: sum(number),
  avg: avg(number),
  min: min(number),
  max: max(number),
  distinct: countDistinct(number),
  newest: collect(number, { max: 3 }),
  all: collect(number, { max: 1_000 }),
  heaviest: topK((item: Item) => String(item.v), { k: 2, capacity: 3 }),
  last,
}

const partitions = [0, 1, 2]
const items = fc
  .array(
    fc.record({
      step: fc.integer({ min: 0, max: 8 }),
      lag: fc.integer({ min: 0, max: 30 }),
      v: fc.constantFrom(0.1, 0.2, 0.3, 1e16, -1e16, 3),
      key: fc.constantFrom('ann', 'bob'),
      partition: fc.constantFrom(...partitions),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((drawn) => {
    let now = 1
    const all: Item[] = drawn.map(({ step, lag, ...item }) => ({ ...item, at: (now += step), t: 100 + now - lag }))
    return [...all, ...partitions.map((partition) => ({ at: now + 300, t: 5_000, v: 0, key: 'end', partition }))]
  })
const crashes = fc
  .array(fc.integer({ min: 2, max: 350 }), { maxLength: 4 })
  .map((moments) => [...new Set(moments)].sort((one, other) => one - other))
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })

function byWindow(results: readonly Told[]): Map<string, unknown> {
  return new Map(results.map(({ key, start, value }) => [`${start} ${String(key)}`, value]))
}

test.each([
  ['in one task', false],
  ['over an internal topic', true],
])('results are the same wherever epochs end and whatever crashes, %s', (_, repartition) => {
  const declared = flow(
    kafka.source({ topic: 't' }),
    json<Item>(),
    eventTime(({ t }) => t, { outOfOrder: 100, idleAfter: '1d' }),
    aggregate('w', { window: hopping(20, { advance: 10 }), by: ({ key }) => key ?? '', of: everything }),
    listSink(),
  )
  fc.assert(
    fc.property(items, crashes, sizes, (given, moments, cuts) => {
      const usual = byWindow(told(declared, given, []))
      const epochSize = (epoch: number) => cuts[epoch % cuts.length] as number
      expect(byWindow(told(declared, given, moments, { epochSize, repartition }))).toEqual(usual)
    }),
    { numRuns: 12 },
  )
})

test.each([[false], [true]])(
  'what is no number is skipped, and counted by its stage (internal topic: %j)',
  (repartition) => {
    const scheduler = new VirtualTimeScheduler()
    const declared = flow(
      kafka.source({ topic: 't' }),
      json<Item>(),
      aggregate('mean', {
        of: {
          mean: avg(({ v }: Item) => v as number),
          sum: sum(({ v }: Item) => v as number),
          different: countDistinct(({ v }: Item) => v as number),
          n: count(),
        },
      }),
      listSink(),
    )
    const virtual = new VirtualFlow(declared, scheduler, { repartition })
    for (const [index, v] of [null, 2, undefined, 4, '7', true, { n: 1 }, { n: 1 }].entries())
      virtual.append(index + 1, { v })
    scheduler.schedule(() => virtual.start(), 0)
    scheduler.schedule(() => virtual.stop(), 500)
    scheduler.flush()
    expect(virtual.committed.at(-1)?.value).toEqual({ key: null, value: { mean: 3, sum: 6, different: 6, n: 8 } })
    expect(virtual.status()?.stages.find(({ stage }) => stage === 'mean')?.skipped).toBe(6 + 6 + 2)
  },
)
