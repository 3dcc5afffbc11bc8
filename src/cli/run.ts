import { dirname, join } from 'node:path'
import { firstValueFrom, type Observable } from 'rxjs'
import { Engine, type Observer } from '../engine/index.js'
import { type Logger, systemClock } from '../model/index.js'
import { type Running, runWorker, type WorkerOptions } from '../worker/worker.js'
import { version } from './about.js'
import { auditLogOf } from './audit/audit-log.js'
import { instanceOf } from './instance.js'
import type { Io, Output } from './io.js'
import { type Prepared, prepare } from './prepare.js'
import { accessOf, addressOf, codeOf, logOf, type RunOptions, stopOf, workersOf } from './run-options.js'
import { runWorkers } from './run-workers.js'
import { isShared, shareOf } from './share.js'
import { tracingOf } from './tracing.js'

/** What runs beside the flows for those who watch. */
export interface Company {
  readonly observer: Observer
  /** Where the log goes, as text for people. */
  readonly log: Output
  run(running: Running, log: Logger): Observable<unknown>
}

/** `weir run [flow…]`: runs flows until a signal. */
export async function run(flows: readonly string[], options: RunOptions, io: Io): Promise<number> {
  const prepared = await prepare({ config: options.config, flows, toRun: true }, io)
  const count = workersOf(options, prepared.environment)
  const topology = shareOf(prepared.topology, io.worker?.number)
  if (count === 1 || io.worker !== undefined) return runPrepared({ ...prepared, topology }, options, io)
  if (topology.flows.some(isShared)) return runWorkers(count, prepared, options, io)
  logOf(prepared, options, io).warn('one worker runs: none of the flows can be shared by processes')
  return runPrepared(prepared, options, io)
}

/** Runs the flows of a topology as a worker. Returns the exit code. */
export async function runPrepared(prepared: Prepared, options: RunOptions, io: Io, company?: Company): Promise<number> {
  const { topology, environment, file, redact } = prepared
  const log = logOf(prepared, options, io, company?.log)
  for (const { name, warnings } of topology.flows)
    for (const { message, hint } of warnings) log.warn({ flow: name }, `${message}. ${hint}`)
  const { stop$, last } = stopOf(io)
  const instance = instanceOf(environment, io.worker?.number)
  // To try things out, this machine is enough.
  const address = addressOf(options, prepared, company === undefined ? '0.0.0.0' : '127.0.0.1')
  const tracing = await tracingOf(prepared, log)
  const worker$ = runWorker({
    engine: (parts) =>
      new Engine(topology, {
        ...parts,
        clock: systemClock,
        log,
        production: environment['NODE_ENV'] === 'production',
        dataDirectory: join(dirname(file), '.weir'),
        instance,
      }),
    clock: systemClock,
    log,
    address,
    port: accessOf(prepared),
    redact,
    stop$,
    audit: intakeAuditOf(prepared),
    about: { name: 'weirflow', version, app: topology.app, worker: io.worker?.number, instance },
    crew: io.worker?.crew,
    observers: [company?.observer, tracing?.observer].filter((observer) => observer !== undefined),
    ...(company === undefined ? {} : { beside: (running) => company.run(running, log) }),
  })
  try {
    return codeOf(await firstValueFrom(worker$), last())
  } finally {
    await tracing?.close()
  }
}

/** Where requests that bring records are written down. */
function intakeAuditOf({ audit, topology: { app } }: Prepared): WorkerOptions<Engine>['audit'] {
  return audit?.intakes === true ? { app, log: (engine) => auditLogOf(audit, engine) } : undefined
}
