import { dirname, join } from 'node:path'
import { firstValueFrom, type Observable, tap } from 'rxjs'
import { Engine, type Observer } from '../engine/index.js'
import { type Environment, env, type Logger, systemClock } from '../model/index.js'
import { createLog, logLevels } from '../worker/log.js'
import { type Outcome, type Running, runWorker } from '../worker/worker.js'
import { version } from './about.js'
import { exitCodes, type Io, type Output, type Signal, UsageError } from './io.js'
import { type Prepared, prepare } from './prepare.js'

export interface RunOptions {
  readonly config?: string
  /** Logs as JSON even on a terminal. */
  readonly json?: boolean
  readonly port?: string
}

/** What runs beside the flows for those who watch. */
export interface Company {
  readonly observer: Observer
  /** Where the log goes, as text for people. */
  readonly log: Output
  run(running: Running, log: Logger): Observable<unknown>
}

/** `weir run [flow…]`: runs flows until a signal. */
export async function run(flows: readonly string[], options: RunOptions, io: Io): Promise<number> {
  return runPrepared(await prepare({ config: options.config, flows, toRun: true }, io), options, io)
}

/** Runs the flows of a topology as a worker. Returns the exit code. */
export async function runPrepared(prepared: Prepared, options: RunOptions, io: Io, company?: Company): Promise<number> {
  const { topology, environment, file } = prepared
  const log = logOf(prepared, options, io, company)
  let last: Signal = 'SIGTERM'
  const stop$ = io.signals$.pipe(
    tap((signal) => {
      last = signal
    }),
  )
  const address = { host: '0.0.0.0', port: portOf(options, environment) }
  const worker$ = runWorker({
    engine: (parts) =>
      new Engine(topology, {
        ...parts,
        clock: systemClock,
        log,
        production: environment['NODE_ENV'] === 'production',
        dataDirectory: join(dirname(file), '.weir'),
        instance: environment['WEIR_INSTANCE_ID'],
      }),
    clock: systemClock,
    log,
    address,
    stop$,
    about: { name: 'weirflow', version, app: topology.app, instance: environment['WEIR_INSTANCE_ID'] },
    observers: company === undefined ? [] : [company.observer],
    ...(company === undefined ? {} : { beside: (running) => company.run(running, log) }),
  })
  return codeOf(await firstValueFrom(worker$), last)
}

function logOf({ environment, redact }: Prepared, { json }: RunOptions, io: Io, company?: Company): Logger {
  const isTerminal = io.stdout.isTTY === true
  const isForPeople = json !== true && (isTerminal || company !== undefined)
  return createLog({
    level: env('LOG_LEVEL')
      .oneOf(...logLevels)
      .default('info')
      .read(environment),
    format: isForPeople ? 'pretty' : 'json',
    colors: isTerminal && !environment['NO_COLOR'],
    destination: company?.log ?? io.stdout,
    redact,
  })
}

function portOf({ port }: RunOptions, environment: Environment): number {
  if (port === undefined) return env('SERVER_PORT').int().default(8080).read(environment)
  if (!/^\d+$/.test(port) || Number(port) > 65_535) throw new UsageError(`--port: '${port}' is no port`)
  return Number(port)
}

function codeOf(outcome: Outcome, signal: Signal): number {
  if (outcome === 'stopped') return exitCodes.ok
  return outcome === 'interrupted' ? exitCodes[signal] : exitCodes.failed
}
