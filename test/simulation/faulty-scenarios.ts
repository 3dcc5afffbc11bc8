import { eventTime, flow, json, type Operator } from '../../src/index.js'
import type { Accounting, Model, Random, SimulatedInput } from '../../src/testing/index.js'
import { byWindow, closedVisits, type Scenario, source, table, Visit, windows } from './visits.js'

const start = Date.UTC(2023, 0, 1)
const isFaulty = ({ id }: Visit) => id >= 1_000

/** Times that no record can have: of the year 2999, µs for ms, none that JSON knows, and none that can be read. */
const faultyTimes = [Date.UTC(2999, 0, 1), start * 1_000, Number.NaN, -1]

/** Between good records, with the place and the timestamp of one of them, such as nobody can take. */
function faultyVisits(random: Random): SimulatedInput<Visit>[] {
  return closedVisits(random).flatMap((visit) => {
    const { value, timestamp = 0 } = visit
    const good = { ...visit, value: { ...value, at: start + value.at }, timestamp: start + timestamp }
    if (value.id < 0 || random.chance(0.8)) return [good]
    const faulty = { ...value, id: 1_000 + value.id, at: random.pick(faultyTimes) }
    return [{ ...good, value: faulty }, good]
  })
}

const timed: Operator<Visit, Visit> = eventTime(({ at }: Visit) => (at === -1 ? Number.NaN : at), {
  outOfOrder: '3s',
  idleAfter: '30d',
})

/** What the others come to, as if there were no faulty ones. */
const ofOthers: Model = {
  ...byWindow,
  expected: (input) => byWindow.expected(input.filter(({ value }) => !isFaulty(value))),
}

/** A faulty record is a dead letter as itself, and no other is one. */
const inLetters: Accounting<Visit> = {
  idOf: (visit) => (isFaulty(visit) ? `visit ${visit.id}` : undefined),
  idsOf: () => [],
}

const options = { model: ofOthers, accounts: inLetters, input: faultyVisits }

/** Flows some of whose records no stage can take: what becomes of the others is as if there were none. */
export const faultyScenarios: readonly Scenario[] = [
  {
    name: 'windows between times that no record can have, exactly once',
    flow: flow(source, json(Visit), timed, windows, table()),
    options: { ...options, repartition: false },
  },
  {
    name: 'shared windows between times that no record can have, exactly once',
    flow: flow(source, json(Visit), timed, windows, table()),
    options: { ...options, members: 4 },
  },
]
