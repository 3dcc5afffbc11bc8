/**
 * A flow in a simulated world: read it in this order.
 *
 *   simulate             what users call
 *   simulation           one run: the flow between stand-ins, the storm, the judgement
 *   models, judge        what must come out, and whether it does
 *   storm                what goes wrong, and when
 *   world, random        virtual time, actors, the trace; all choices from one seed
 *   link                 requests that are slow, lost, late or doubled
 *   cluster, group       Kafka's side; reader, holdings: the side of a process
 *   checkpoints, sink    what keeps checkpoints and results
 *   fleet, process       the processes and their supervisor
 */
export { allTime, type Expected, eachRecord, type LoggedInput, type Model, windowed } from './models.js'
export type { Random } from './random.js'
export { SimulationFailure, type SimulationReport, simulate } from './simulate.js'
export type { SimulatedInput, SimulateOptions } from './simulation.js'
export { type Fault, faults } from './storm.js'
