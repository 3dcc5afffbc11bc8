import type { ConfigFault } from './config-error.js'
import {
  type Chain,
  type InputNode,
  operatorsOf,
  type SourceNode,
  sinksOf,
  storesOf,
  type TopologyConnection,
} from './topology.js'

type Connections = ReadonlyMap<string, TopologyConnection>

/**
 * State that ends with its process, of records that don't come again: their source goes on where its group was. Nobody
 * has said that the state may go, so it is a fault. What an embedded system holds ends with the process too.
 */
export function shortLivedFaults(
  flow: string,
  parts: Chain & { readonly inputs: readonly InputNode[] },
  connections: Connections,
): ConfigFault[] {
  const keeper = [...operatorsOf(parts), ...sinksOf(parts)].find((stage) => storesOf(stage).length > 0)
  const lasting = parts.inputs.map(({ source }) => source).find((source) => isLasting(source, connections))
  if (keeper === undefined || lasting === undefined) return []
  const able = [...connections].filter(([, { definition }]) => definition.checkpoints !== undefined)
  const named = able.map(([name]) => `checkpoints: '${name}'`)
  const instead = named.length > 0 ? named.join(' or ') : 'a connection that keeps data, such as postgres({ … })'
  return [
    {
      message: `flow '${flow}': '${keeper.name}' keeps its state in memory, and '${lasting.name}' reads on where it was: when the process ends the state is lost, and its records do not come again`,
      hint: `Say what keeps it: ${instead}. Or write checkpoints: memory(), if it may be lost.`,
      declaredAt: keeper.declaredAt,
    },
  ]
}

function isLasting({ definition, connection }: SourceNode, connections: Connections): boolean {
  const found = connection === undefined ? undefined : connections.get(connection)
  if (found?.options === undefined || definition.positions === 'store') return false
  return found.definition.isEmbedded?.(found.options) !== true
}
