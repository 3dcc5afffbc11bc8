/**
 * Tests of operators and flows in virtual time: no broker, no database, no waiting.
 *
 *   marbles        a marble test: operators, whole flows, subscriptions asserted, leaks found
 *   flow-run       a whole flow in a marble test
 *   virtual-flow   a whole flow in virtual time without diagrams: for property tests
 *   log-source     what stands in place of its sources
 *   virtual-clock  its time, with a wall clock that can be set
 *   restore-check  whether its state would come back after a crash
 *   simulation/    a whole flow through crashes, rebalances and losses, from a seed
 */
export { at, type FlowRun } from './flow-run.js'
export { type MarbleHelpers, type MarbleOperatorOptions, marbles, type Rejection, testRecord } from './marbles.js'
export * from './simulation/index.js'
export { VirtualClock } from './virtual-clock.js'
export { type Placed, VirtualFlow, type VirtualFlowOptions, type Written } from './virtual-flow.js'
