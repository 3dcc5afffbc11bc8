/**
 * Reads partitions from their leaders, over connections of our own (ADR 30). From the outside in:
 *
 *   lane-settings             what connections need, of the client's settings, or why there can be none
 *   fetcher                   what is asked for when, and what of it waits (fetched-chunk: to be emitted)
 *   brokers, link             who leads what, and one connection to each (beginnings: where partitions begin; group-members:
 *                             who is in a group)
 *   connection, frames        requests and their answers over a socket
 *   login, exchange, scram    how a connection logs in (secure-contexts, system-authorities: TLS)
 *   protocol/                 the few messages
 *   record-batch, batch-head  batches of a log, decoded where they lie (aborted-producers: which of them count)
 *   record-gatherer, record-cursor, fetched-records
 *                             their records, in columns (header-names: read once)
 *   compression               the ways in which they may be packed
 */
export { beginningsOf } from './beginnings.js'
export { Brokers } from './brokers.js'
export { Fetcher } from './fetcher.js'
export { membersOf } from './group-members.js'
export { laneObstacle, laneSettings } from './lane-settings.js'
