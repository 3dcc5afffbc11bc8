/**
 * The part that makes the promises. Read it in this order:
 *
 *   flow, config        what a user declares
 *   compile, topology   what it compiles to: named, validated stages (guarantee, summary: what is told of it;
 *                       short-lived: state that nobody keeps)
 *   cut, repartition/   where it becomes several tasks, and the internal topics that join them
 *   retry/              the part of a flow behind its retry topics, and what is on its way to them
 *   pipeline            the stages wired as one RxJS pipe (edge, branching, stage-contexts: its pieces)
 *   epoch               the budget of one subscription of that pipe
 *   task                one step after another: connect, assign, run an epoch, commit, recover
 *   assignment, event-time, inheritance, partition-ends, rejections, restore-progress, store-losses, supervision
 *                       what a task keeps track of
 *   running-flow        the tasks of a flow
 *   engine              all flows of a process (view-places: where their views are kept)
 *   input-trial         what its first stages would say of records, and nothing is written
 *   change-progress     what somebody sets who looks after a flow: where it goes on, and its time
 *   state-plan          what a topology would do to the state that is stored (topic-plan: what topics would do to it)
 *   status              what it tells of itself
 */
export { backTo, changeProgress, nextTimeSet, setBack } from './change-progress.js'
export { compile } from './compile.js'
export { memory, type WeirConfig } from './config.js'
export { ConfigError, type ConfigFault } from './config-error.js'
export { Engine, type EngineParts } from './engine.js'
export { type Branch, type Branches, Flow, type FlowOptions, type Input, type Merged } from './flow.js'
export { InputTrial } from './input-trial.js'
export { messageOf as retryMessage } from './retry/message.js'
export { retryTopicsOf } from './retry/retry-parts.js'
export {
  flowOf,
  planState,
  type StateChange,
  type StoredState,
  stateFaults,
  surveyState,
} from './state-plan.js'
export type { EpochReport, FlowState, FlowStatus, Observer } from './status.js'
export { compareTopologies, printTopology } from './summary.js'
export { type ChangedTopic, logEndsOf, planTopics, topicFaults } from './topic-plan.js'
export {
  type FlowTopology,
  type OperatorNode,
  type SourceNode,
  type StageSummary,
  sinksOf,
  type Topology,
} from './topology.js'
