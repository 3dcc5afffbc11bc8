/**
 * The protocol of checkpoints that are kept in logs: who may write a partition's log, what is written, what counts, and
 * what may be deleted. Pure state machines, which the Kafka client and the simulator drive alike.
 *
 *   protocol     acquiring, fencing, committing, releasing
 *   log-search   where logs stand
 *   loading      the chunks of one log
 *   truncation   what of the logs is obsolete, by what each grant knows
 *   steps        the events that happen, and the commands that answer them
 *   entry        what the logs consist of; log-head: what their entries come to
 */
export { decodeEntry, type Entry, encodeEntry, type NewEntry, type ReadEntry } from './entry.js'
export { LogSearch } from './log-search.js'
export { CheckpointProtocol } from './protocol.js'
export type { Bounded, Bounds, Command, Event, Read, Search } from './steps.js'
export type { LogTruncation, TruncationCommand } from './truncation.js'
