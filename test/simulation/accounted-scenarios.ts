import {
  aggregate,
  batch,
  collect,
  eventTime,
  type Flow,
  flow,
  json,
  type Key,
  type Operator,
  recordKey,
  tumbling,
  type Windowed,
} from '../../src/index.js'
import type { Accounting, Random, SimulatedInput, SimulateOptions } from '../../src/testing/index.js'
import { inRows, inWindows } from './accounting.js'
import { type Scenario, source, table, Visit, visits } from './visits.js'

/**
 * Flows of which the input alone does not tell the results: which records are late depends on what happens. So each record
 * has to be found again, in the results or in the dead letters, once.
 */
function accounted<V>(
  name: string,
  tried: Flow,
  input: (random: Random) => readonly SimulatedInput[],
  accounts: Accounting<V>,
  options: Partial<SimulateOptions> = {},
): Scenario {
  return { name, flow: tried, options: { input, accounts, members: 4, every: '500ms', ...options } }
}

/** No UTF-8: as texts they would be one. More of them than partitions, so that some meet. */
const binary = [0xfc, 0xfd, 0xfe, 0xff].map((byte) => Buffer.from([byte, 1]))

/** Some partitions are busy, others bring one record now and then; some records are far behind. */
function straying(random: Random, without: readonly null[] = []): SimulatedInput<Visit>[] {
  let now = 0
  return Array.from({ length: random.between(30, 120) }, (_, id) => {
    now += random.wait(250)
    const at = Math.max(0, now - (random.chance(0.3) ? random.between(0, 9_000) : 0))
    const user = random.pick(['ann', 'bob', 'cem'])
    // Those without a key are told by who has all partitions, and in the end several processes share them.
    return { value: { id, user, at }, key: random.pick([user, ...binary, ...without]), at: now }
  })
}

const hasty: Operator<Visit, Visit> = eventTime((visit: Visit) => visit.at, { outOfOrder: '1s', idleAfter: '1s' })
const window = tumbling('3s')
const ids = { ids: collect(({ id }: Visit) => id, { max: 1_000 }) }
const listedByKey: Operator<Visit, Windowed<{ ids: number[] }, Key>> = aggregate('listed', {
  window,
  late: 'dead-letter',
  by: recordKey,
  of: ids,
})

const byKey: Accounting<Visit> = {
  ...inWindows,
  groups: {
    of: (_, { key }) => (key === null ? 'none' : Buffer.from(key).toString('hex')),
    window: ({ window: { start } }: Windowed<unknown>) => start.toISOString(),
  },
}

/** A server that does not take every third visit, and a function that throws at others. */
export const refuses = (value: unknown) => {
  const { id } = value as Visit
  if (id % 7 === 0) throw new TypeError('no row can be made of it')
  return id % 3 === 0
}

export const accountedScenarios: readonly Scenario[] = [
  accounted(
    'late records by key, exactly once',
    flow(source, json(Visit), hasty, listedByKey, table()),
    straying,
    byKey,
  ),
  accounted(
    'late records by keys or none, exactly once',
    flow(source, json(Visit), hasty, listedByKey, table()),
    (random) => straying(random, [null, null]),
    byKey,
    { members: 1 },
  ),
  accounted('refused records, exactly once', flow(source, json(Visit), table()), visits, inRows, { refuses }),
  accounted(
    'refused records in batches, exactly once',
    flow(source, json(Visit), batch({ size: 4, every: '50ms' }), table<unknown>()),
    visits,
    inRows,
    { refuses },
  ),
]
