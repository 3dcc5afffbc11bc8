import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  aggregate,
  avg,
  branch,
  collect,
  consoleSink,
  count,
  countDistinct,
  type Flow,
  flow,
  hopping,
  http,
  incidents,
  kafka,
  max,
  merge,
  min,
  otherwise,
  recordKey,
  sse,
  sum,
  to,
  topK,
  view,
} from '../../src/index.js'
import { config, faultsOf, orders } from '../support/compiling.js'

/** Whoever has no types, or casts them away. */
const untyped = (given: unknown) => given as never
const sink = consoleSink({ onError: 'skip' })
const stage = (declared: unknown) => flow(orders, declared as never, sink)
const posted = http.post('/orders', { body: z.object({}) })
const isAll = () => true

test.each<[what: string, declared: () => Flow, said: RegExp]>([
  ['aggregates nothing', () => stage(aggregate('n', { by: 'all', of: {} })), /option 'of' expected an aggregate/],
  [
    'has an aggregate that is not called',
    () => stage(aggregate('n', { by: 'all', of: { n: untyped(count) } })),
    /option 'of' expected an aggregate.*n: count\(\)/,
  ],
  [
    'has half of an aggregate',
    () => stage(aggregate('n', { by: 'all', of: untyped({ init: () => 0, add: () => 0 }) })),
    /option 'of' expected an aggregate/,
  ],
  [
    'keeps keys for no time',
    () => stage(aggregate('n', { by: recordKey, of: count(), ttl: 0 })),
    /option 'ttl' expected '1ms' or more/,
  ],
  [
    'has windows that overlap by nothing that it tells',
    () => stage(aggregate('n', { by: 'all', of: count(), window: hopping('1h', untyped(undefined)) })),
    /option 'window.advance' expected of hopping windows/,
  ],
  [
    'tells limits of no number',
    () => stage(incidents('bad', { level: [{ of: () => 1 }] })),
    /option 'level' expected `warn` or `error` in one of them/,
  ],
  ['merges nothing', () => flow(merge() as never, sink), /merge\(\) has no inputs/],
  [
    'has a branch that nothing is left for',
    () =>
      flow(orders, branch(otherwise('rest', sink), to('some', isAll, consoleSink({ name: 'other', onError: 'skip' })))),
    /nothing is left for branch 'some': 'rest' before it takes all/,
  ],
  ['has a branch without a name', () => flow(orders, branch(to('', isAll, sink))), /a branch has no name/],
  ['serves one route twice', () => flow(merge(posted, posted) as never, sink), /serves POST \/orders twice/],
  [
    'keeps its views nowhere',
    () => flow(orders, view({ path: '/a', entries: () => [], storage: 'postgress', onError: 'skip' })),
    /storage: no connection 'postgress'/,
  ],
  [
    'names a stage so that no internal topic can be called after it',
    () => stage(aggregate('orders / hour', { by: () => 'a', of: count() })),
    /'orders \/ hour' is no name that its internal topic 'weir\.flow\.orders \/ hour\.repartition' can be called after/,
  ],
  [
    'sends what no header can have',
    () => flow(sse({ url: 'https://stream.example', headers: { 'x-team': 'Zürich → Bern' } }), sink),
    /option 'headers' expected names and values that headers can have/,
  ],
  [
    'begins nowhere',
    () => flow(kafka.source({ topic: 'orders', from: untyped('beginning') }), sink),
    /option 'from' expected 'earliest', 'latest'/,
  ],
])('a flow that %s is refused, with its place', (_, declared, said) => {
  const faults = faultsOf(config(declared()))
  expect(faults.map(({ message }) => message)).toEqual([expect.stringMatching(said)])
  expect(faults[0]?.declaredAt?.stack).toContain('hopeless-configurations.test.ts')
})

test.each([
  ['sum', () => sum(untyped('total')), /declaring sum: .*\(value\) => value\.total, and got 'total'/],
  ['avg', () => avg(untyped('total')), /declaring avg: /],
  ['min', () => min(untyped('total')), /declaring min: /],
  ['max', () => max(untyped(undefined)), /declaring max: .*got a undefined/],
  ['count', () => count(untyped('is_new')), /declaring count: /],
  ['countDistinct', () => countDistinct(untyped('user')), /declaring countDistinct: /],
  ['collect', () => collect(untyped('user'), { max: 3 }), /declaring collect: expected a function/],
  ['collect without a bound', () => collect(isAll, untyped(undefined)), /declaring collect: max is undefined/],
  ['topK', () => topK(untyped('user'), { k: 3 }), /declaring topK: expected a function/],
  ['topK without a bound', () => topK(() => 'a', untyped(undefined)), /declaring topK: k is 0/],
])('%s of the name of a field, or of nothing, is refused where it is declared', (_, declare, said) => {
  expect(declare).toThrow(said)
})
