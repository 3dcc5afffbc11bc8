import { firstValueFrom } from 'rxjs'
import { connectionsOf } from '../engine/topology.js'
import { systemClock, WeirError } from '../model/index.js'
import { type SupervisorEnd, supervise } from '../worker/supervisor.js'
import { exitCodes, type Io, type Signal } from './io.js'
import type { Prepared } from './prepare.js'
import { accessOf, codeOf, logOf, portOf, type RunOptions, stopOf } from './run-options.js'

/** Runs the flows of a topology in several worker processes. Returns the exit code. */
export async function runWorkers(count: number, prepared: Prepared, options: RunOptions, io: Io): Promise<number> {
  refuseEmbedded(prepared)
  // What is wrong with the command line is told once, not by every worker.
  portOf(options, prepared)
  accessOf(prepared)
  const { stop$, last } = stopOf(io)
  const end$ = supervise({
    count,
    start: io.startWorker,
    hopeless: [exitCodes.usage, exitCodes.configuration],
    clock: systemClock,
    log: logOf(prepared, options, io),
    stop$,
    ...(io.reload$ === undefined ? {} : { reload$: io.reload$ }),
  })
  return codeOfEnd(await firstValueFrom(end$), last())
}

function codeOfEnd(end: SupervisorEnd, signal: Signal): number {
  return 'code' in end ? end.code : codeOf(end.outcome, signal)
}

/** An embedded server lives in one process, where the other workers can't reach it. */
function refuseEmbedded({ topology }: Prepared): void {
  const used = new Set(topology.flows.flatMap((flow) => [...connectionsOf(flow)]))
  for (const [name, { definition, options }] of topology.connections) {
    if (!used.has(name) || definition.isEmbedded?.(options) !== true) continue
    throw new WeirError(
      'WEIR_CONFIG_EMBEDDED',
      `running several workers: connection '${name}' is an embedded server, which only one process can use`,
      { hint: `Give connection '${name}' the address of a real server, or run one worker.` },
    )
  }
}
