import type { FlowState, Observer } from '../engine/status.js'
import type { Logger } from '../model/index.js'

const topics = ['epoch', 'trace', 'state', 'written', 'rejected', 'topic'] as const

/** Tells several observers of everything; of what none of them wants to hear it has no method, which costs nothing. */
export function together(observers: readonly Observer[]): Observer {
  const wanted = topics.filter((topic) => observers.some((observer) => observer[topic] !== undefined))
  return Object.fromEntries(
    wanted.map((topic) => [topic, (told: never) => observers.forEach((each) => void each[topic]?.(told))]),
  )
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
