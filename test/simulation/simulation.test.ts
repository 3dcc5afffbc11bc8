import { expect, test } from 'vitest'
import { type Fault, faults, SimulationFailure, simulate } from '../../src/testing/index.js'
import { failedSeeds } from './failed-seeds.js'
import { scenarioNamed, scenarioOf, scenarios } from './scenarios.js'

/** How long fresh seeds are run, ms, and how many at the least. */
const freshMs = 15_000
const atLeast = 4 * scenarios.length

function run(seed: number, { name, flow, options } = scenarioOf(seed)) {
  try {
    return simulate(flow, { ...options, seed })
  } catch (error) {
    if (error instanceof SimulationFailure) console.error(`${error.trace.join('\n')}\nseed ${seed} (${name})`)
    throw error
  }
}

test.each(failedSeeds)('seed $seed of $scenario holds: $why', ({ seed, scenario }) => {
  run(seed, scenarioNamed(scenario))
})

test('fresh seeds hold every promise', () => {
  const first = Date.now() % 2 ** 31
  const until = performance.now() + freshMs
  let seed = first
  while (seed < first + atLeast || performance.now() < until) run(seed++)
  console.log(`seeds ${first} to ${seed - 1} hold: npm run simulate -- --seed ${first} --seeds ${seed - first}`)
})

test.each(scenarios.map(({ name }, seed) => [name, seed] as const))('%s: a seed replays to the byte', (_, seed) => {
  const { trace } = run(seed)
  expect(trace.length).toBeGreaterThan(50)
  expect(run(seed).trace.join('\n')).toBe(trace.join('\n'))
})

test('other seeds do other things', () => {
  const [one, other] = [0, scenarios.length].map((seed) => run(seed).trace.join('\n'))
  expect(one).not.toBe(other)
})

test.each(Object.keys(faults) as Fault[])('%s alone: it happens, and every promise holds', (fault) => {
  // Every other scenario for each: all of them are tried with the faults before and after it.
  const struck = new Set<string | undefined>()
  for (let seed = Object.keys(faults).indexOf(fault) % 2; seed < scenarios.length; seed += 2) {
    const { flow, options } = scenarioOf(seed)
    if (options.faults?.includes(fault) === false) continue
    const { trace } = simulate(flow, { ...options, seed, faults: [fault] })
    for (const line of trace) if (line.includes(' storm: ')) struck.add(line.split(': ')[1])
  }
  expect(struck).toEqual(new Set([fault, 'is over']))
})

test('without faults nothing is written twice, and nothing retried', () => {
  for (let seed = 0; seed < scenarios.length; seed++) {
    const { name, flow, options } = scenarioOf(seed)
    // Of the processes that run a schedule each takes it from the others, again and again.
    if (name.startsWith('runs of a schedule')) continue
    // Topics that change have flows begin again, and read again.
    const { trace } = simulate(flow, { ...options, topics: [], seed, faults: [] })
    expect(trace.filter((line) => line.includes('retrying'))).toEqual([])
    const durable = trace.filter((line) => line.includes('makes durable')).map((line) => line.split('durable: ')[1])
    expect(new Set(durable).size).toBe(durable.length)
  }
})

test('a failure tells its seed, its promise and its trace', () => {
  const { flow, options } = scenarioOf(0)
  const wrong = { expected: () => [], identify: () => ({ id: 'anything', value: 1 }) }
  const failing = () => simulate(flow, { ...options, model: wrong, seed: 5, faults: [] })
  expect(failing).toThrow(SimulationFailure)
  expect(failing).toThrow(/^seed 5: nothing else comes out: anything = 1\n/)
  expect(failing).toThrow(/BROKEN/)
})
