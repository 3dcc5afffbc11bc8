import type { ConfigFault } from './config-error.js'
import {
  type Chain,
  type InputNode,
  isBranches,
  type OperatorNode,
  operatorsOf,
  sinksOf,
  storesOf,
} from './topology.js'

type Whole = Chain & { readonly inputs: readonly InputNode[] }

/** Stores of one name: state is found again by it. */
export function doubledStores(flow: string, whole: Whole): ConfigFault[] {
  const taken = new Set<string>()
  return [...operatorsOf(whole), ...sinksOf(whole)].flatMap((stage) =>
    storesOf(stage).flatMap((name) => {
      if (!taken.has(name)) {
        taken.add(name)
        return []
      }
      return {
        message: `flow '${flow}' has two stateful stages named '${name}'`,
        hint: 'Give each a name of its own: state is found again by it.',
        declaredAt: stage.declaredAt,
      }
    }),
  )
}

/** The result of an aggregate stems from several partitions: a second one would have none to keep it under. */
export function nestedAggregates(flow: string, { inputs, ...chain }: Whole): ConfigFault[] {
  return nested(
    flow,
    chain,
    inputs.some(({ stages }) => stages.some(isGlobal)),
  )
}

function nested(flow: string, { stages, end }: Chain, isBehind: boolean): ConfigFault[] {
  const aggregates = stages.filter(isGlobal)
  const second = isBehind ? aggregates[0] : aggregates[1]
  if (second === undefined)
    return isBranches(end) ? end.flatMap((branch) => nested(flow, branch, isBehind || aggregates.length > 0)) : []
  return [
    {
      message: `flow '${flow}': '${second.name}' aggregates what another aggregate makes`,
      hint: 'Write the results of the first to a topic, and read that in a flow of its own.',
      declaredAt: second.declaredAt,
    },
  ]
}

/** Behind a sink that holds positions back, what comes again would be counted again, or written again by others. */
export function sharedHolders(flow: string, whole: Whole): ConfigFault[] {
  const sinks = [...sinksOf(whole)]
  const holder = sinks.find(({ definition }) => definition.holds === true)
  if (holder === undefined) return []
  const others = [...[...operatorsOf(whole)].filter((stage) => storesOf(stage).length > 0), ...sinks]
  return others
    .filter((stage) => stage !== holder)
    .map((stage) => ({
      message: `flow '${flow}': records come again to '${stage.name}' as long as '${holder.name}' has not stored them`,
      hint: `Give '${holder.name}' a flow of its own that reads the same topic, or one that '${stage.name}' writes to.`,
      declaredAt: stage.declaredAt,
    }))
}

export function isGlobal({ definition }: OperatorNode): boolean {
  return definition.global === true
}
