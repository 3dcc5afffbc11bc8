import type { Flow } from '../../engine/index.js'
import { type SimulateOptions, Simulation } from './simulation.js'

/** What a simulation came to. */
export interface SimulationReport {
  readonly seed: number
  /** All that happened, a line each. */
  readonly trace: readonly string[]
  /** How long it took in virtual time, ms. */
  readonly virtualMs: number
}

/** A promise did not hold. The seed does the same again. */
export class SimulationFailure extends Error {
  constructor(
    readonly seed: number,
    readonly promise: string,
    readonly trace: readonly string[],
  ) {
    super(`seed ${seed}: ${promise}\n${trace.slice(-60).join('\n')}`)
  }
}

/**
 * Runs a flow through crashes, rebalances, lost acknowledgements, zombies and whatever else `faults` names, in virtual
 * time: the real engine and operators over a simulated Kafka, checkpoint store and sinks. All choices follow from the seed.
 * Checked while it runs: no committed position is ahead of a durable effect; nothing of a process that was fenced off
 * counts; partitions are released after their epoch is committed; memory is bounded by the epoch; what comes out is what the
 * model says, once where the sink joins the checkpoints; and everything is done, once nothing goes wrong any more.
 *
 * Errors: a `SimulationFailure` with the promise that did not hold, and the trace.
 */
export function simulate<V>(flow: Flow, options: SimulateOptions<V>): SimulationReport {
  const simulation = new Simulation(flow, options)
  simulation.run()
  const { broken, trace, now } = simulation.world
  if (broken !== undefined) throw new SimulationFailure(options.seed, broken, trace)
  return { seed: options.seed, trace, virtualMs: now }
}
