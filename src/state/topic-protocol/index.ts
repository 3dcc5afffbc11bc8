/**
 * What follows when topics are not what they were: pure machines and rules, which the Kafka client and the simulator drive
 * alike (docs/adr/0017, 0023).
 *
 *   beginning    where reading begins, when partitions are assigned
 *   watching     what changes while they are read
 *   sharing      whether a group goes by what there is
 *   judgement    the rules of both: what a position means, as its topic is now
 *   findings     what is counted, logged, and what stops a flow
 *   facts        what goes with a position
 *   steps        the events that happen, and the commands that answer them
 */
export { TopicBeginning } from './beginning.js'
export { factsText, type GroupPosition, groupPosition, type SeenTopic } from './facts.js'
export type { Finding } from './findings.js'
export { isNotIn, offsetIn } from './places.js'
export type { Spot, TopicRules } from './rules.js'
export { Sharing } from './sharing.js'
export type { BeginningCommand, BeginningEvent, Bounds, Reading, WatchCommand, WatchEvent } from './steps.js'
export { endAfterMs, lookEveryMs, TopicWatching } from './watching.js'
