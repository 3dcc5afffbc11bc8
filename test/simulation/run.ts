/** `npm run simulate -- --seeds 2000 [--seed S] [--scenario NAME]`: runs seeds from S on; a single one with its trace. */
import { parseArgs } from 'node:util'
import { SimulationFailure, simulate } from '../../src/testing/index.js'
import { scenarioNamed, scenarioOf } from './scenarios.js'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { seeds: text, seed: text, scenario: text } })
const first = wholeNumber('seed', values.seed ?? String(Date.now() % 2 ** 31))
const many = wholeNumber('seeds', values.seeds ?? (values.seed === undefined ? '200' : '1'))
const failed: number[] = []
const began = performance.now()

for (let seed = first; seed < first + many; seed++) {
  const { name, flow, options } = values.scenario === undefined ? scenarioOf(seed) : scenarioNamed(values.scenario)
  try {
    const { trace } = simulate(flow, { ...options, seed })
    if (many === 1) console.log(trace.join('\n'))
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error
    failed.push(seed)
    console.log(error.trace.join('\n'))
    console.log(`seed ${seed} (${name}): ${error.promise}`)
    console.log(`replay it: npm run simulate -- --seed ${seed} --scenario '${name}'\n`)
  }
}

const seconds = ((performance.now() - began) / 1_000).toFixed(1)
console.error(
  `seeds ${first} to ${first + many - 1}: ${failed.length} failed${failed.length > 0 ? ` (${failed.join(', ')})` : ''}, ${seconds} s`,
)
process.exitCode = failed.length === 0 ? 0 : 1

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new RangeError(`--${option} takes a whole number, not '${text}'`)
}
