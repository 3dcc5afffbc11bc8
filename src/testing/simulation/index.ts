/**
 * A flow in a simulated world: read it in this order.
 *
 *   simulate             what users call
 *   simulation           one run: the flow between stand-ins, the storm, the judgement
 *   models, judge        what must come out, and whether it does
 *   storm                what goes wrong, and when
 *   topic-changes        what becomes of topics; topic-watch: who notices while reading
 *   time-setting         somebody sets event time back
 *   world, random        virtual time, actors, the trace; all choices from one seed
 *   link                 requests that are slow, lost, late or doubled
 *   inputs               what is written to the topics that are read
 *   cluster, group       Kafka's side; reader, holdings, in-vain, channel: the side of a process
 *   checkpoints, sink    what keeps checkpoints and results: in a database
 *   letters              the topic of dead letters, and how a process writes to it
 *   transactions         the same in Kafka, in transactions; transactional: the side of a process
 *   fleet, process       the processes and their supervisor
 */

export type { Accounting } from './accounts.js'
export type { SimulatedInput } from './inputs.js'
export { allTime, type Expected, eachRecord, type LoggedInput, type Model, windowed } from './models.js'
export type { Random } from './random.js'
export { SimulationFailure, type SimulationReport, simulate } from './simulate.js'
export type { SimulateOptions } from './simulation.js'
export { type Fault, faults } from './storm.js'
export { type TopicFault, topicChanges } from './topic-changes.js'
