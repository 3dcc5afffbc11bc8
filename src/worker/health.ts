import type { FlowState, FlowStatus } from '../engine/status.js'
import { describeError } from '../model/index.js'

/** Why one flow makes no progress. */
export interface Ailment {
  readonly flow: string
  readonly state: FlowState
  readonly reason: string
}

export interface HealthOptions {
  /** A time of the clock's scheduler. */
  readonly now: number
  /** How long a flow may go without a commit, ms. An idle flow commits too: its epochs are empty. */
  readonly stuckAfterMs: number
  /** Takes secrets out of texts. */
  readonly redact?: (text: string) => string
}

/** The flows that have failed, or are stuck. A flow that has stopped is at its end, one that is idle is a spare: in health. */
export function ailments(flows: readonly FlowStatus[], options: HealthOptions): Ailment[] {
  const { now, stuckAfterMs, redact = (text) => text } = options
  return flows.flatMap((status) => {
    const reason = reasonOf(status, now, stuckAfterMs)
    return reason === undefined ? [] : [{ flow: status.flow, state: status.state, reason: redact(reason) }]
  })
}

function reasonOf(status: FlowStatus, now: number, stuckAfterMs: number): string | undefined {
  const { state, error, trouble } = status
  const because = error === undefined ? '' : `: ${describeError(error)}`
  switch (state) {
    case 'stopped':
    case 'idle':
      return undefined
    case 'failed':
      return `it has failed${because}`
    case 'starting':
    case 'assigning':
      // It waits for what has to come first, and says so: nothing that a restart would mend.
      if (trouble !== undefined) return undefined
      return overdue(now - (status.lastCommitAt ?? status.since), stuckAfterMs, `it is still ${state}`, because)
    case 'running':
    case 'retrying':
    case 'draining':
      // Empty epochs, and those of other partitions, may be committed beside what fails.
      if (status.failingSince !== undefined && now - status.failingSince > stuckAfterMs)
        return `what it has read has failed for ${Math.round((now - status.failingSince) / 1000)} s${because}`
      // The same: its store is away, or its disk is full.
      if (trouble !== undefined) return undefined
      return overdue(now - (status.lastCommitAt ?? status.since), stuckAfterMs, 'nothing was committed', because)
  }
}

function overdue(silentMs: number, stuckAfterMs: number, what: string, because: string): string | undefined {
  return silentMs > stuckAfterMs ? `${what} after ${Math.round(silentMs / 1000)} s${because}` : undefined
}

/** Whether every flow takes records, or would; those at their end count, those that can't reach their source don't. */
export function isReady(flows: readonly FlowStatus[]): boolean {
  return flows.every(({ state, trouble }) => ['running', 'idle', 'stopped'].includes(state) && trouble === undefined)
}
