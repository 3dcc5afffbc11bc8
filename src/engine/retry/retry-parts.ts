import { durationText, type RejectionPolicy } from '../../model/index.js'
import type { ConfigFault } from '../config-error.js'
import { carrierOf, type Part } from '../cut.js'
import {
  type Chain,
  type FlowTopology,
  type InputNode,
  type OperatorNode,
  operatorsOf,
  retryingOf,
  type SourceNode,
  type StageSummary,
  type SubTopology,
  sinksOf,
  storesOf,
  type TopologyConnection,
} from '../topology.js'
import type { RetryJoint } from './joint.js'
import { retrySource, retryStage } from './retry-stages.js'

type Whole = Chain & { readonly inputs: readonly InputNode[] }

interface Compiling {
  readonly app: string
  readonly flow: string
  readonly connections: ReadonlyMap<string, TopologyConnection>
  /** What becomes of a record that a stage of the compiler's own can't take. */
  readonly ownPolicy: RejectionPolicy
  unique(name: string): string
  refuse(fault: ConfigFault): void
}

/** A flow of which records are tried again: itself, and what runs behind its retry topics. */
interface Retrying {
  readonly whole: Whole
  readonly behind: Part
}

/**
 * Puts a stage before all others that keeps what is tried again, and makes the part of the flow that reads the retry topics:
 * the same stages, in a task of its own, so that nobody waits for it. Undefined where no stage has records tried again, or
 * where that can't be, which is told.
 */
export function withRetries(whole: Whole, compiling: Compiling): Retrying | undefined {
  const retrying = retryingOf(whole)
  const [first] = retrying
  if (first === undefined) return undefined
  const { app, flow, connections, ownPolicy, unique, refuse } = compiling
  const carrier = carrierOf(whole.inputs, connections)
  const [input, ...others] = whole.inputs
  const keeper = [...operatorsOf(whole), ...sinksOf(whole)].find((stage) => storesOf(stage).length > 0)
  let hasFault = false
  const fault = (message: string, hint: string, { declaredAt } = first) => {
    hasFault = true
    refuse({ message: `flow '${flow}': '${first.name}' has records tried again, and ${message}`, hint, declaredAt })
  }
  if (keeper !== undefined)
    fault(
      `'${keeper.name}' keeps state of records: those that come later would be counted twice, or out of their time`,
      'Write to a topic, and read that in a flow of its own, which keeps the state.',
      keeper,
    )
  else if (others.length > 0) fault('they come from several sources', 'Give each source a flow of its own.')
  else if (carrier === undefined)
    fault(
      'no retry topics can be made beside its source',
      "Read a topic, by a connection to Kafka; or set onError to 'dead-letter'.",
    )
  if (hasFault || input === undefined || carrier === undefined) return undefined

  const name = unique(retryStage.name)
  const { declaredAt } = first
  const { connection, kind, channel, reads } = carrier
  const stageOf = (options: RetryJoint): OperatorNode => ({
    name,
    definition: retryStage as OperatorNode['definition'],
    options,
    connection,
    policy: ownPolicy,
    declaredAt,
  })
  const allMs = [...new Set(retrying.flatMap(({ retry }) => retry?.tiers ?? []))].sort((a, b) => a - b)
  const tiers = allMs.map((ms) => ({ ms, topic: `${app}.${flow}.retry.${durationText(ms)}` }))
  const joint = { connectionKind: kind, channel, tiers, like: reads, store: name }
  const sources = tiers.map(
    (tier): SourceNode => ({
      name: unique(`${name}.${durationText(tier.ms)}`),
      definition: retrySource,
      options: { ...joint, ...tier, group: tier.topic, isBehind: true },
      connection,
      policy: 'fail',
      declaredAt,
    }),
  )
  return {
    whole: { ...whole, inputs: [{ ...input, stages: [stageOf({ ...joint, isBehind: false }), ...input.stages] }] },
    behind: {
      name: `${flow}.${name}`,
      inputs: sources.map((source) => ({ source, stages: [] })),
      stages: [stageOf({ ...joint, isBehind: true }), ...input.stages, ...whole.stages],
      end: whole.end,
      timeScope: 'task',
    },
  }
}

/** Whether it only keeps what is tried again: no state of keys. */
export function isRetryStage({ definition }: { readonly definition: { readonly name: string } }): boolean {
  return definition.name === retryStage.name
}

/** The stages of a flow, in which those behind the retry topics are not told again: only whence they come, and that they go back. */
export function joinRetries(
  summary: readonly StageSummary[],
  whole: Whole,
  behind: Pick<SubTopology, 'summary'> & Chain,
): StageSummary[] {
  const topics = behind.summary.filter(({ definition }) => definition === retrySource.name)
  const from = retryingOf(whole).map(({ name }) => name)
  const names = topics.map(({ name }) => name)
  const back = behind.stages[0]?.name
  return [
    ...summary.map((stage) => (stage.name === back ? { ...stage, inputs: [...stage.inputs, ...names] } : stage)),
    ...topics.map((stage) => ({ ...stage, inputs: from })),
  ]
}

/** The retry topics of a flow, the shortest wait first, and the connection that they are of. */
export function retryTopicsOf({
  parts,
}: Pick<FlowTopology, 'parts'>): readonly { topic: string; connection: string }[] {
  const sources = parts.flatMap(({ inputs }) => inputs.map(({ source }) => source))
  return sources.flatMap(({ definition, options, connection }) =>
    definition.name === retrySource.name && connection !== undefined
      ? [{ topic: (options as { topic: string }).topic, connection }]
      : [],
  )
}
