import { z } from 'zod'
import { batch, type Flow, flow, json } from '../../src/index.js'
import type { Accounting, Random, SimulatedInput, SimulateOptions } from '../../src/testing/index.js'
import { type Scenario, source, table, topic, Visit, visits } from './visits.js'

const Sized = Visit.extend({ text: z.string() })
type Sized = z.infer<typeof Sized>

/** Small ones, and such as are too large for a sink, or for the dead letters as well. */
const sizes = [0, 0, 100, 400, 700, 1_500, 2_500, 5_000, 12_000]

/** Some are no JSON, some have no key, or a large one. */
function sizedVisits(random: Random): SimulatedInput<Sized | string>[] {
  return visits(random).map(({ key = null, ...visit }) => {
    const { value } = visit
    const text = 'x'.repeat(random.pick(sizes))
    const keys = [key, key, key, null, `${value.user} `.repeat(random.pick([20, 2_000]))]
    const isBroken = random.chance(0.2)
    return { ...visit, key: random.pick(keys), value: isBroken ? `visit ${value.id} ${text}` : { ...value, text } }
  })
}

const inRows: Accounting<Sized | string> = {
  idOf: (value) => (typeof value === 'string' ? (/^visit \d+/.exec(value)?.[0] ?? '') : `visit ${value.id}`),
  idsOf: ({ id }: Sized) => [`visit ${id}`],
}

function large(name: string, tried: Flow, limits: SimulateOptions['limits'] & object): Scenario {
  const options = { input: sizedVisits, accounts: inRows, limits, members: 4, every: '500ms' } as const
  return { name: `records of any size ${name}`, flow: tried, options }
}

const read = json(Sized)
const batched = flow(source, read, batch({ size: 4, every: '50ms' }), table<unknown>())
const transactional = flow(source, read, topic()).with({ guarantee: 'exactly-once' })

/** Each is written, or a dead letter, of which there is as much as its topic takes. */
export const largeScenarios: readonly Scenario[] = [
  large('and larger letters, exactly once', flow(source, read, table()), { record: 600, letter: 20_000 }),
  large('and small letters, exactly once', flow(source, read, table()), { record: 600, letter: 3_000 }),
  large('and small letters, at least once', flow(source, read, topic()), { record: 1_000, letter: 3_000 }),
  large('in batches and bare letters, exactly once', batched, { record: 300, letter: 1_200 }),
  large('in transactions and small letters, exactly once', transactional, { record: 600, letter: 3_000 }),
]
