import {
  type ConnectionDefinition,
  type Guarantee,
  isWeirError,
  type Keeps,
  type OperatorDefinition,
  type RejectionPolicy,
  type RetryPolicy,
  type SinkDefinition,
  type SourceDefinition,
  type SourceWay,
} from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import type { EpochLimits } from './epoch.js'
import type { TimeScope } from './event-time.js'

/** What becomes of records that a stage can't take. */
export interface Policies {
  readonly policy: RejectionPolicy
  /** Of those that are late for it, where that is another. */
  readonly late?: RejectionPolicy | undefined
  /** How a record is tried again before that. */
  readonly retry?: RetryPolicy | undefined
}

interface StageNode<D> extends Policies {
  /** Unique in its flow. */
  readonly name: string
  /** The stage that the user declared, where this is a part of it. */
  readonly partOf?: string
  readonly definition: D
  /** Validated, settings resolved. */
  readonly options: unknown
  /** The declared connection it uses. */
  readonly connection: string | undefined
  readonly declaredAt: Error
}

export type SourceNode = StageNode<SourceDefinition>
export type OperatorNode = StageNode<OperatorDefinition>
export type SinkNode = StageNode<SinkDefinition>

/** Operators in a row, and where they lead. */
export interface Chain {
  readonly stages: readonly OperatorNode[]
  readonly end: SinkNode | readonly BranchNode[]
}

export interface BranchNode extends Chain {
  readonly name: string
  readonly when: ((value: unknown, record: unknown) => boolean) | undefined
}

export interface InputNode {
  readonly source: SourceNode
  readonly stages: readonly OperatorNode[]
}

/** A stage as graphs and comparisons see it. */
export interface StageSummary {
  readonly name: string
  /** `internal` for those by which an internal topic is written and read. */
  readonly kind: 'source' | 'operator' | 'sink' | 'internal'
  readonly definition: string
  /** What it is about: a topic, a table, a window. */
  readonly detail: string | undefined
  /** The names of the stages that feed it. */
  readonly inputs: readonly string[]
  readonly stores: readonly string[]
  /** What it makes of its records, where that is not a row of each, and commands that show what it has written. */
  readonly makes?: string
  readonly shows?: readonly string[]
}

/** What runs as one task: a flow, or the part of it that lies between two topics. */
export interface SubTopology extends Chain {
  /** Unique: the flow's name, or with that of the stage at which the part was cut off. Its checkpoints are kept under it. */
  readonly name: string
  readonly inputs: readonly InputNode[]
  /** All stages, sources first, in the order in which records pass them. */
  readonly summary: readonly StageSummary[]
  /** What is kept of its partitions besides positions. */
  readonly keeps: Keeps
  /** Whether its positions are kept in the checkpoint store; else they are the group's offsets. */
  readonly checkpointed: boolean
  /** Whether it only works with all partitions of its topics in one task. */
  readonly global: boolean
  readonly timeScope: TimeScope
  readonly limits: EpochLimits
}

export interface FlowTopology {
  readonly name: string
  /** In the order in which records pass them; internal topics lead from one to the next. */
  readonly parts: readonly SubTopology[]
  /** The stages of all parts. */
  readonly summary: readonly StageSummary[]
  readonly guarantee: Guarantee
  /** The stage that sets the guarantee, and why. */
  readonly guaranteedBy: { readonly stage: string; readonly why: string }
  /** The connection that keeps its checkpoints, or `memory`. */
  readonly checkpoints: string
  /** The sinks that write in the transaction of the checkpoint store. */
  readonly joins: readonly SinkNode[]
  readonly attempts: number
  /** Stores that it no longer has, and whose state may be lost. */
  readonly givesUp: readonly string[]
  /** The connection and name for dead letters; undefined when no stage writes any. */
  readonly deadLetters: { readonly connection: string; readonly name: string } | undefined
  /** By which way records come to its sources, of those that have several. */
  readonly ways: readonly ({ readonly source: string; readonly detail: string | undefined } & SourceWay)[]
  /** What can be run, and is hardly meant. */
  readonly warnings: readonly ConfigFault[]
}

export interface TopologyConnection {
  readonly definition: ConnectionDefinition
  readonly options: unknown
}

/** What a configuration compiles to: named stages, their stores, connections. It can be printed and compared. */
export interface Topology {
  readonly app: string
  readonly flows: readonly FlowTopology[]
  readonly connections: ReadonlyMap<string, TopologyConnection>
  /** The connection that keeps checkpoints where a flow chooses none, or `memory`. */
  readonly checkpoints: string
  /** The names of all flows that are declared, also of those that are left out. */
  readonly declared: readonly string[]
}

/** Every operator of a flow, inputs' first. */
export function* operatorsOf(flow: Chain & { readonly inputs?: readonly InputNode[] }): Generator<OperatorNode> {
  for (const input of flow.inputs ?? []) yield* input.stages
  yield* flow.stages
  if (isBranches(flow.end)) for (const branch of flow.end) yield* operatorsOf(branch)
}

export function* sinksOf({ end }: Chain): Generator<SinkNode> {
  if (!isBranches(end)) yield end
  else for (const branch of end) yield* sinksOf(branch)
}

/** Every stage of a flow: what can reject a record, and what needs a connection. */
export function stagesOf(
  flow: Chain & { readonly inputs: readonly InputNode[] },
): readonly (SourceNode | OperatorNode | SinkNode)[] {
  return [...flow.inputs.map(({ source }) => source), ...operatorsOf(flow), ...sinksOf(flow)]
}

/** The connections that a flow uses, by name; `memory` may be among them. */
export function connectionsOf({ checkpoints, deadLetters, parts }: FlowTopology): ReadonlySet<string> {
  const named = parts.flatMap((part) => stagesOf(part).map(({ connection }) => connection))
  return new Set([checkpoints, deadLetters?.connection, ...named].filter((name) => name !== undefined))
}

/** The stages that have records tried again. */
export function retryingOf(flow: Chain & { readonly inputs: readonly InputNode[] }): (OperatorNode | SinkNode)[] {
  return [...operatorsOf(flow), ...sinksOf(flow)].filter(({ retry }) => retry !== undefined)
}

/** Whether it may send records to the dead letters. */
export function writesDeadLetters({ policy, late }: Policies): boolean {
  return policy === 'dead-letter' || late === 'dead-letter'
}

/** What becomes of a record that it rejects with this error. */
export function policyFor({ policy, late = policy }: Policies, error: unknown): RejectionPolicy {
  return isWeirError(error) && error.code === 'WEIR_RECORD_LATE' ? late : policy
}

/** The stores that a stage keeps. Options that did not validate are undefined; their fault is told elsewhere. */
export function storesOf(stage: SourceNode | OperatorNode | SinkNode): readonly string[] {
  const { definition, options, name } = stage
  return options === undefined ? [] : (definition.stores?.(options, name) ?? [])
}

export function isBranches(end: Chain['end']): end is readonly BranchNode[] {
  return Array.isArray(end)
}
