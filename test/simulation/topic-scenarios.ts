import { z } from 'zod'
import {
  aggregate,
  collect,
  defineSource,
  eventTime,
  type Flow,
  flow,
  from,
  json,
  type Key,
  kafka,
  merge,
  type Operator,
  recordKey,
  type Source,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import type { Accounting, Random, SimulatedInput, SimulateOptions, TopicFault } from '../../src/testing/index.js'
import { inRows, inWindows } from './accounting.js'
import { type Scenario, source, table, topic, Visit } from './visits.js'

/** Flows of which the topics change, under load and between two lives: each record is in a result, a dead letter, or told to be lost. */
function changing<V>(
  name: string,
  tried: Flow,
  topics: readonly TopicFault[],
  accounts: Accounting<V>,
  options: Partial<SimulateOptions> = {},
): Scenario {
  return { name, flow: tried, options: { input: spread, accounts, topics, members: 4, every: '500ms', ...options } }
}

/** The same, and some at last, when topics are what they will be: else nobody knows that time goes on. */
function spreadToTheEnd(random: Random): SimulatedInput<Visit>[] {
  const visits = spread(random)
  const after = visits.length
  const last = Array.from({ length: 12 }, (_, index) => {
    const at = (after + index) * 1_000
    const user = `user ${index}`
    return { value: { id: after + index, user, at }, key: user, timestamp: at, at: lastMs + index * 100 }
  })
  return [...visits, ...last]
}

/** The same, of two topics. */
function spreadOverTwo(random: Random): SimulatedInput<Visit>[] {
  return spread(random).map((visit) => ({ ...visit, source: random.between(0, 1) }))
}

/** The same, and some of both at last. */
function spreadOverTwoToTheEnd(random: Random): SimulatedInput<Visit>[] {
  return spreadToTheEnd(random).map((visit) => ({ ...visit, source: random.between(0, 1) }))
}

/** By then nothing goes wrong any more, and every topic is there. */
const lastMs = 40_000

/** Of many keys, so that some go to partitions that are added. */
function spread(random: Random): SimulatedInput<Visit>[] {
  return Array.from({ length: random.between(30, 120) }, (_, id) => {
    const user = `user ${random.between(0, 30)}`
    return { value: { id, user, at: id * 1_000 }, key: user, timestamp: id * 1_000 }
  })
}

/** It says with no position what it reads, and nobody makes that anew. */
const feed: Source<Visit> = defineSource({
  name: 'feed',
  summary: 'Visits of elsewhere.',
  options: z.strictObject({}),
  replayable: true,
  build: () => {
    throw new Error('another source stands in')
  },
}).declare({})
const latest = kafka.source({ topic: 'visits', from: 'latest' })
const ids = { ids: collect(({ id }: Visit) => id, { max: 1_000 }) }
/** Records of one key may lie in two partitions, and all of them wait for each other. */
const hasty: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: '3s', idleAfter: '1s' })
const window = tumbling('3s')
const listed: Operator<Visit, Windowed<{ ids: number[] }>> = aggregate('listed', {
  window,
  late: 'dead-letter',
  of: ids,
})
const listedByKey: Operator<Visit, Windowed<{ ids: number[] }, Key>> = aggregate('listed', {
  window,
  late: 'dead-letter',
  by: recordKey,
  of: ids,
})

export const topicScenarios: readonly Scenario[] = [
  changing(
    'copies of a changing topic, exactly once',
    flow(source, json(Visit), table()),
    ['grown', 'gap', 'recreated', 'truncated'],
    inRows,
  ),
  changing(
    'copies of a changing topic, at least once',
    flow(source, json(Visit), topic()),
    ['grown', 'gap', 'recreated', 'truncated'],
    inRows,
  ),
  changing('copies of a group that is reset, exactly once', flow(source, json(Visit), table()), ['reset'], inRows),
  changing('copies of a group that is reset, at least once', flow(source, json(Visit), topic()), ['reset'], inRows),
  changing(
    'shared windows of a group that is reset, exactly once',
    flow(source, json(Visit), hasty, listed, table()),
    ['reset', 'grown'],
    inWindows,
  ),
  changing(
    'copies from the latest of a growing topic, exactly once',
    flow(latest, json(Visit), table()),
    ['grown'],
    inRows,
  ),
  changing(
    'windows by key of a changing topic, exactly once',
    flow(source, json(Visit), hasty, listedByKey, table()),
    ['grown', 'gap'],
    inWindows,
  ),
  changing(
    'shared windows of a changing topic, exactly once',
    flow(source, json(Visit), hasty, listed, table()),
    ['grown', 'gap'],
    inWindows,
  ),
  changing(
    'windows of a recreated topic, exactly once',
    flow(source, json(Visit), hasty, listed, table()),
    ['recreated'],
    inWindows,
    { repartition: false },
  ),
  changing(
    'windows of a recreated topic beside a source that names none, exactly once',
    flow(merge(from(source, json(Visit)), feed), hasty, listed, table()),
    ['recreated'],
    inWindows,
    { input: spreadOverTwoToTheEnd },
  ),
  changing(
    'shared windows of a recreated topic, exactly once',
    flow(source, json(Visit), hasty, listed, table()),
    ['recreated'],
    inWindows,
    { input: spreadToTheEnd },
  ),
  changing(
    'shared windows of a recreated topic, exactly once in Kafka',
    flow(source, json(Visit), hasty, listed, topic()).with({ guarantee: 'exactly-once' }),
    ['recreated'],
    inWindows,
    { input: spreadToTheEnd },
  ),
  changing(
    'shared windows of a renamed topic, exactly once',
    flow(source, json(Visit), hasty, listed, table()),
    ['renamed'],
    inWindows,
    { input: spreadToTheEnd },
  ),
  changing(
    'shared windows of which an input is taken away, exactly once',
    flow(merge(source, kafka.source({ topic: 'more' })), json(Visit), hasty, listed, table()),
    ['dropped'],
    inWindows,
    { input: spreadOverTwo },
  ),
  changing(
    'shared windows of which an input is away for some time, exactly once',
    flow(merge(source, kafka.source({ topic: 'more' })), json(Visit), hasty, listed, table()),
    ['away'],
    inWindows,
    { input: spreadOverTwoToTheEnd },
  ),
]
