import { dirname, join } from 'node:path'
import { BehaviorSubject, EMPTY, firstValueFrom, merge, NEVER, type Observable, ReplaySubject, takeUntil } from 'rxjs'
import type { Redact } from '../config/secrets.js'
import { Engine, type Observer } from '../engine/index.js'
import { type Logger, systemClock } from '../model/index.js'
import { type Running, runWorker, type WorkerOptions } from '../worker/worker.js'
import { version } from './about.js'
import { auditLogOf } from './audit/audit-log.js'
import { instanceOf } from './instance.js'
import type { Io, Output } from './io.js'
import { type Prepared, prepare } from './prepare.js'
import { Reloads, versionOf } from './reload.js'
import { accessOf, addressOf, codeOf, logOf, type RunOptions, stopOf, workersOf } from './run-options.js'
import { runWorkers } from './run-workers.js'
import { isShared, shareOf } from './share.js'
import { tracingOf } from './tracing.js'
import { saved } from './watch.js'

/** What runs beside the flows for those who watch. */
export interface Company {
  readonly observer: Observer
  /** Where the log goes, as text for people. */
  readonly log: Output
  run(running: Running, log: Logger): Observable<unknown>
}

/** `weir run [flow…]`: runs flows until a signal. */
export function run(flows: readonly string[], options: RunOptions, given: Io): Promise<number> {
  return hearing(given, async (io) => {
    const prepared = await loaded(flows, options, io)
    const count = workersOf(options, prepared.environment)
    const reloading = { load: (trial: Io) => loaded(flows, options, trial), asked$: io.reload$ ?? NEVER }
    if (count === 1 || io.worker !== undefined) return runPrepared(prepared, options, io, { reloading })
    if (prepared.topology.flows.some(isShared)) return runWorkers(count, prepared, options, io)
    logOf(prepared, options, io).warn('one worker runs: none of the flows can be shared by processes')
    return runPrepared(prepared, options, io, { reloading })
  })
}

/**
 * `weir dev [flow…]`: runs flows on this machine alone, and loads the configuration again whenever something of it is saved.
 */
export function dev(flows: readonly string[], options: RunOptions, given: Io): Promise<number> {
  return hearing(given, async (io) => {
    const since = Date.now()
    const prepared = await loaded(flows, options, io)
    const modules$ = new BehaviorSubject(prepared.code.files)
    const load = async (trial: Io) => {
      const next = await loaded(flows, options, trial)
      modules$.next(next.code.files)
      return next
    }
    const asked$ = merge(saved(prepared.file, since, modules$), io.reload$ ?? NEVER)
    return runPrepared(prepared, options, io, { reloading: { load, asked$, waitsForMends: true }, host: '127.0.0.1' })
  })
}

/** Hears from the beginning when it is to reload, though it can't before it runs. */
async function hearing(io: Io, run: (io: Io) => Promise<number>): Promise<number> {
  const reload$ = new ReplaySubject<unknown>(1)
  const asked = io.reload$?.subscribe(reload$)
  try {
    return await run({ ...io, reload$ })
  } finally {
    asked?.unsubscribe()
  }
}

/** What is to run, or this worker's share of it. */
async function loaded(flows: readonly string[], { config }: RunOptions, io: Io): Promise<Prepared> {
  const prepared = await prepare({ config, flows, toRun: true }, io)
  return { ...prepared, topology: shareOf(prepared.topology, io.worker?.number) }
}

/** How the configuration is loaded again, and when. */
interface Reloading {
  load(io: Io): Promise<Prepared>
  readonly asked$: Observable<unknown>
  /** Whether flows that have failed are waited for, when no others run. */
  readonly waitsForMends?: boolean
}

interface Beside {
  readonly company?: Company
  readonly reloading?: Reloading
  /** Where the port listens unless somebody says. Default: all addresses. */
  readonly host?: string
}

/** Runs the flows of a topology as a worker. Returns the exit code. */
export async function runPrepared(
  prepared: Prepared,
  options: RunOptions,
  io: Io,
  { company, reloading, host = '0.0.0.0' }: Beside = {},
): Promise<number> {
  const { topology, environment, file } = prepared
  // A reload may bring other secrets, and flows with the old ones end only then.
  let secrets: readonly Redact[] = [prepared.redact]
  const redact = (text: string) => secrets.reduce((left, one) => one(left), text)
  if (io.secrets !== undefined) io.secrets.redact = redact
  const log = logOf({ ...prepared, redact }, options, io, company?.log)
  for (const { name, warnings } of topology.flows)
    for (const { message, hint } of warnings) log.warn({ flow: name }, `${message}. ${hint}`)
  const { stop$, last } = stopOf(io)
  const instance = instanceOf(environment, io.worker?.number)
  const tracing = await tracingOf(prepared, log)
  const address = addressOf(options, prepared, host)
  // What is signed is the configuration as it was loaded: once flows run, they may change the objects in it.
  const first = reloading && versionOf(prepared)
  // One that is refused has secrets of its own.
  const trial = { ...io, secrets: { redact } }
  let engine: Engine | undefined
  const worker$ = runWorker({
    engine: (parts) => {
      engine = new Engine(topology, {
        ...parts,
        clock: systemClock,
        log,
        production: environment['NODE_ENV'] === 'production',
        dataDirectory: join(dirname(file), '.weir'),
        instance,
        waitsForMends: reloading?.waitsForMends ?? false,
      })
      return engine
    },
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
    beside: (running) => {
      const reloads$ =
        first === undefined || reloading === undefined || engine === undefined
          ? EMPTY
          : new Reloads(first, {
              engine,
              log,
              io: trial,
              load: () => reloading.load(trial),
              took: (next) => {
                secrets = [next.redact, ...secrets.slice(0, 1)]
              },
            }).run(reloading.asked$.pipe(takeUntil(running.stop$)))
      return merge(reloads$, company?.run(running, log) ?? EMPTY)
    },
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
