import type { FlowState, Observer } from '../engine/status.js'
import type { Logger } from '../model/index.js'

/** Tells several observers of everything. */
export function together(observers: readonly Observer[]): Observer {
  return {
    epoch: (report) => observers.forEach((each) => void each.epoch?.(report)),
    state: (status) => observers.forEach((each) => void each.state?.(status)),
    written: (written) => observers.forEach((each) => void each.written?.(written)),
    rejected: (rejection) => observers.forEach((each) => void each.rejected?.(rejection)),
  }
}

/** Logs each change of a flow's state. What went wrong is logged by the flow itself. */
export function stateLog(log: Logger): Observer {
  const last = new Map<string, FlowState>()
  return {
    state: ({ flow, state }) => {
      if (last.get(flow) !== state) log.info({ flow }, state)
      last.set(flow, state)
    },
    epoch: ({ flow, epoch, records, durationMs, commitMs }) => {
      if (records > 0) log.debug({ flow, epoch, records, durationMs, commitMs }, 'committed')
    },
  }
}
