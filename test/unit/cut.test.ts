import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  aggregate,
  branch,
  consoleSink,
  count,
  type Flow,
  flow,
  from,
  http,
  kafka,
  keyBy,
  map,
  mapAsync,
  merge,
  otherwise,
  recordKey,
} from '../../src/index.js'
import { defineOperator } from '../../src/model/index.js'
import { config, faultsOf, flowOf, orders } from '../support/compiling.js'

const returns = kafka.source({ topic: 'returns', group: 'g' })

test('the parts of a flow that was cut have names of their own, and come in the order of the records', () => {
  const totals = (name: string) => aggregate(name, { of: { n: count() } })
  const behind = flow(orders, totals('total'), consoleSink())
  expect(flowOf(config(behind)).parts.map(({ name }) => name)).toEqual(['flow', 'flow.total'])
  const inAnInput = flow(merge(from(orders, totals('total')), returns), consoleSink())
  const { parts } = flowOf(config(inAnInput))
  expect(parts.map(({ name }) => name)).toEqual(['flow.total', 'flow'])
  expect(parts[1]?.inputs.map(({ source }) => source.name)).toContain('total.repartition.source')
})

test('records of two topics meet in an internal one even under the keys that they have', () => {
  const byKey = aggregate('n', { by: recordKey, of: count() })
  const partsOf = (declared: Flow) => flowOf(config(declared)).parts.map(({ name }) => name)
  expect(partsOf(flow(orders, byKey, consoleSink()))).toEqual(['flow'])
  const more = kafka.source({ topic: 'more', group: 'g' })
  expect(partsOf(flow(merge(orders, more), byKey, consoleSink()))).toEqual(['flow', 'flow.n'])
})

describe('that an internal topic joins', () => {
  const byKey = keyBy(() => 'key')
  const unordered = mapAsync((value: unknown) => [value], { ordered: false })
  const bounded = aggregate('seen', { by: recordKey, of: count(), maxKeys: 5 })
  const laterSeen = aggregate('seen', { by: recordKey, of: count(), maxKeys: 5, emit: 'epoch' })
  const later = aggregate('latest', { by: recordKey, of: count(), emit: 'epoch' })
  const keeping = (name: string) =>
    defineOperator({
      name,
      summary: '-',
      options: z.strictObject({}),
      stores: () => [name],
      build: () => map as never,
    }).declare({})
  const kept = keeping('kept')

  test.each([
    ['by an asynchronous stage', flow(orders, unordered, byKey, kept, consoleSink()), 'mapAsync', 'kept'],
    ['after the new key', flow(orders, byKey, unordered, bounded, consoleSink()), 'mapAsync', 'seen'],
    ['in an input', flow(merge(from(orders, unordered), returns), byKey, kept, consoleSink()), 'mapAsync', 'kept'],
    [
      'before a branch',
      flow(orders, unordered, byKey, branch(otherwise('all', kept, consoleSink()))),
      'mapAsync',
      'kept',
    ],
    ['by results of whole epochs', flow(orders, later, byKey, kept, consoleSink()), 'latest', 'kept'],
  ])('is refused where the order of records is changed %s', (_, declared, changing, keeper) => {
    expect(faultsOf(config(declared))).toEqual([
      expect.objectContaining({
        message: `flow 'flow': '${changing}' changes the order of records, by which '${keeper}' knows those that an internal topic brings twice`,
        hint: `Keep their order, or put '${changing}' behind '${keeper}', or write to a topic and read that in a flow of its own.`,
      }),
    ])
    expect(faultsOf(config(declared))[0]?.declaredAt?.stack).toContain('cut.test.ts')
  })

  test.each([
    [
      'keeps the order',
      flow(
        orders,
        mapAsync((value: unknown) => [value]),
        byKey,
        kept,
        consoleSink(),
      ),
    ],
    ['tells its own results late', flow(orders, byKey, laterSeen, consoleSink())],
    ['comes behind', flow(orders, byKey, kept, unordered, consoleSink())],
    ['comes before what is combined', flow(orders, unordered, aggregate('n', { of: count() }), consoleSink())],
    ['keeps its records where they are', flow(orders, unordered, kept, consoleSink())],
    [
      'tells a result of each record',
      flow(orders, aggregate('n', { by: recordKey, of: count() }), byKey, kept, consoleSink()),
    ],
  ])('may have a stage that %s', (_, declared) => {
    expect(faultsOf(config(declared))).toEqual([])
  })

  test('is refused where state is kept by a second key', () => {
    const second = flow(
      orders,
      byKey,
      kept,
      keyBy(() => 'other'),
      keeping('again'),
      consoleSink(),
    )
    expect(faultsOf(config(second))).toEqual([
      expect.objectContaining({
        message:
          "flow 'flow': 'again' keeps state by a key whose records do not meet: they have come by an internal topic, and go by no second one",
        hint: 'Write the records to a topic under that key, and read it in a flow of its own.',
      }),
    ])
    expect(faultsOf(config(flow(orders, byKey, kept, keeping('again'), consoleSink())))).toEqual([])
    const bound = flow(
      orders,
      byKey,
      kept,
      keyBy(() => 'other'),
      bounded,
      consoleSink(),
    )
    expect(faultsOf(config(bound)).map(({ message }) => message)).toEqual([
      expect.stringContaining("'seen' keeps state by a key whose records do not meet"),
    ])
  })

  const posted = http.post('/orders', { body: z.unknown() })
  const apart = merge(orders, posted)

  test.each([
    ['by a new key', flow(apart, byKey, kept, consoleSink()), 'kept'],
    ['and bounded', flow(apart, bounded, consoleSink()), 'seen'],
    ['and bounded, in a branch', flow(apart, branch(otherwise('all', byKey, bounded, consoleSink()))), 'seen'],
  ])('is refused where sources that none can join keep state %s', (_, declared, keeper) => {
    expect(faultsOf(config(declared))).toEqual([
      expect.objectContaining({
        message: `flow 'flow': '${keeper}' keeps state by a key whose records do not meet: they come from sources that no internal topic can join`,
        hint: 'Write the records to a topic under that key, and read it in a flow of its own.',
      }),
    ])
  })

  test.each([
    ['is of each source', flow(apart, kept, consoleSink())],
    ['is merged', flow(apart, aggregate('n', { by: recordKey, of: count() }), consoleSink())],
    ['has one source', flow(posted, byKey, bounded, consoleSink())],
    ['is of an input', flow(merge(from(posted, byKey, kept), orders), consoleSink())],
  ])('is not needed for state that %s', (_, declared) => {
    expect(faultsOf(config(declared))).toEqual([])
  })
})
