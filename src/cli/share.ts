import type { FlowTopology, Topology } from '../engine/index.js'

/** What one of several workers runs: the first all, each other one what processes can share. */
export function shareOf(topology: Topology, worker: number | undefined): Topology {
  if (worker === undefined || worker === 1) return topology
  return { ...topology, flows: topology.flows.filter(isShared) }
}

/**
 * Whether processes can share a flow. Only a consumer group shares records out: a source that has its positions in the
 * checkpoint store would be read by each of them, and so would one be cut short that needs its whole topic.
 */
export function isShared({ parts }: FlowTopology): boolean {
  return parts.every(
    ({ global, inputs }) => !global && inputs.every(({ source }) => source.definition.positions !== 'store'),
  )
}
