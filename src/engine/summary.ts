import type { OperatorDefinition, SinkDefinition, SourceDefinition } from '../model/index.js'
import { repartitionSink } from './repartition/repartition-sink.js'
import { repartitionSource } from './repartition/repartition-source.js'
import { retrySource } from './retry/retry-stages.js'
import {
  type Chain,
  type FlowTopology,
  type InputNode,
  isBranches,
  type StageSummary,
  type Topology,
} from './topology.js'

interface Named {
  readonly name: string
  readonly definition: SourceDefinition | OperatorDefinition | SinkDefinition
  readonly options: unknown
}

/** The stages of a flow, flat, each with what feeds it. */
export function summarize(flow: Chain & { readonly inputs: readonly InputNode[] }): StageSummary[] {
  const summaries: StageSummary[] = []
  const add = (stage: Named, inputs: readonly string[]): readonly string[] => {
    summaries.push(summaryOf(stage, inputs))
    return [stage.name]
  }
  const follow = (chain: Chain, inputs: readonly string[]): void => {
    const last = chain.stages.reduce((before, stage) => add(stage, before), inputs)
    if (!isBranches(chain.end)) add(chain.end, last)
    else for (const branch of chain.end) follow(branch, last)
  }
  const heads = flow.inputs.flatMap(({ source, stages }) =>
    stages.reduce((before, stage) => add(stage, before), add(source, [])),
  )
  follow(flow, heads)
  return summaries
}

function summaryOf({ name, definition, options }: Named, inputs: readonly string[]): StageSummary {
  // Options that did not validate are undefined; compiling fails with their faults afterwards.
  const valid = options !== undefined
  return {
    name,
    kind: isInternal(definition) ? 'internal' : definition.kind,
    definition: definition.name,
    detail: valid ? definition.detail?.(options) : undefined,
    inputs,
    stores: valid && definition.kind !== 'source' ? (definition.stores?.(options) ?? []) : [],
    ...(valid && definition.kind === 'sink' ? made(definition, options) : {}),
  }
}

function made({ makes, shows }: SinkDefinition, options: unknown): Pick<StageSummary, 'makes' | 'shows'> {
  const commands = shows?.(options)
  return { ...(makes === undefined ? {} : { makes }), ...(commands === undefined ? {} : { shows: commands }) }
}

function isInternal({ name }: Named['definition']): boolean {
  return name === repartitionSink.name || name === repartitionSource.name || name === retrySource.name
}

/** The stages of all parts of a flow, each part beginning where another hands it records. */
export function joinSummaries(parts: readonly (readonly StageSummary[])[]): StageSummary[] {
  const all = parts.flat()
  const writers = new Map(
    all.filter(({ definition }) => definition === repartitionSink.name).map((stage) => [stage.detail, stage.name]),
  )
  return all.map((stage) => {
    const writer = stage.definition === repartitionSource.name ? writers.get(stage.detail) : undefined
    return writer === undefined ? stage : { ...stage, inputs: [writer] }
  })
}

/** A topology as text, a stage a line. */
export function printTopology({ app, flows, checkpoints }: Topology): string {
  return [
    `${app} (checkpoints: ${checkpoints})`,
    ...flows.flatMap((flow) => ['', ...printFlow(flow, checkpoints)]),
  ].join('\n')
}

function printFlow({ name, summary, guarantee, guaranteedBy, checkpoints }: FlowTopology, usual: string): string[] {
  const width = Math.max(...summary.map((stage) => stage.name.length))
  const lines = summary.map(({ name: stage, kind, detail, inputs, stores }) => {
    const fed = inputs.length > 0 ? ` ← ${inputs.join(', ')}` : ''
    const kept = stores.length > 0 ? ` [store ${stores.join(', ')}]` : ''
    return `  ${symbols[kind]} ${stage.padEnd(width)} ${detail ?? ''}${kept}${fed}`.trimEnd()
  })
  const own = checkpoints === usual ? '' : ` (checkpoints: ${checkpoints})`
  return [`flow ${name}${own}: ${guarantee}, set by ${guaranteedBy.stage} (${guaranteedBy.why})`, ...lines]
}

const symbols = { source: '▶', operator: '│', sink: '■', internal: '⇄' } as const

/** What differs between two topologies, a line a difference; empty when they are the same. */
export function compareTopologies(before: Topology, after: Topology): string[] {
  const old = new Map(before.flows.map((flow) => [flow.name, flow]))
  const now = new Map(after.flows.map((flow) => [flow.name, flow]))
  return [
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => `- flow ${name}`),
    ...[...now].flatMap(([name, flow]) => {
      const known = old.get(name)
      return known === undefined ? [`+ flow ${name}`] : compareFlows(known, flow)
    }),
  ]
}

function compareFlows(before: FlowTopology, after: FlowTopology): string[] {
  const print = (flow: FlowTopology) => new Map(flow.summary.map((stage) => [stage.name, JSON.stringify(stage)]))
  const old = print(before)
  const now = print(after)
  const differences = [
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => `- flow ${before.name}: stage ${name}`),
    ...[...now.keys()].filter((name) => !old.has(name)).map((name) => `+ flow ${after.name}: stage ${name}`),
    ...[...now]
      .filter(([name, stage]) => old.has(name) && old.get(name) !== stage)
      .map(([name]) => `~ flow ${after.name}: stage ${name}`),
  ]
  const moved =
    before.checkpoints === after.checkpoints
      ? []
      : [`~ flow ${after.name}: checkpoints ${before.checkpoints} → ${after.checkpoints}`]
  const promised =
    before.guarantee === after.guarantee ? [] : [`~ flow ${after.name}: ${before.guarantee} → ${after.guarantee}`]
  return [...differences, ...moved, ...promised]
}
