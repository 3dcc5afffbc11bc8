import type { FlowStatus } from '../../src/engine/status.js'

/** What is told of a flow that runs and has done nothing yet, but for what is given. */
export function flowStatus(given: Pick<FlowStatus, 'flow'> & Partial<FlowStatus>): FlowStatus {
  return {
    state: 'running',
    guarantee: 'at-least-once',
    since: 0,
    error: undefined,
    failures: 0,
    lastCommitAt: 0,
    watermark: undefined,
    restoredBytes: 0,
    stages: [],
    partitions: [],
    stores: [],
    ...given,
  }
}
