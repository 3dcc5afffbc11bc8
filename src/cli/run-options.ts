import { type Observable, tap } from 'rxjs'
import { loadTls } from '../config/http.js'
import { type Environment, env, type Logger, WeirError } from '../model/index.js'
import type { PortOptions } from '../worker/http-server.js'
import { createLog, logLevels } from '../worker/log.js'
import type { Address } from '../worker/reach.js'
import type { Outcome } from '../worker/worker.js'
import { exitCodes, type Io, type Output, type Signal, UsageError } from './io.js'
import type { Prepared } from './prepare.js'

export interface RunOptions {
  readonly config?: string
  /** Logs as JSON even on a terminal. */
  readonly json?: boolean
  readonly port?: string
  /** Where the port listens. */
  readonly host?: string
  /** How many processes. */
  readonly workers?: string
}

/** The log of this process. @param people Where it goes as text for people. */
export function logOf({ environment, redact }: Prepared, { json }: RunOptions, io: Io, people?: Output): Logger {
  const isTerminal = io.stdout.isTTY === true
  const isForPeople = json !== true && (isTerminal || people !== undefined)
  return createLog({
    level: env('LOG_LEVEL')
      .oneOf(...logLevels)
      .default('info')
      .read(environment),
    format: isForPeople ? 'pretty' : 'json',
    colors: isTerminal && !environment['NO_COLOR'],
    destination: people ?? io.stdout,
    worker: io.worker?.number,
    redact,
  })
}

export function portOf({ port }: RunOptions, { http }: Prepared): number {
  if (port === undefined) return http.port ?? 8080
  if (!/^\d+$/.test(port) || Number(port) > 65_535) throw new UsageError(`--port: '${port}' is no port`)
  return Number(port)
}

/** Where the port listens. @param otherwise Where nobody says. */
export function addressOf(options: RunOptions, prepared: Prepared, otherwise: string): Address {
  return { host: options.host ?? prepared.http.host ?? otherwise, port: portOf(options, prepared) }
}

/** Who may call the port. */
export function accessOf({ http: { tls, token, tokens, origins, maxConnections } }: Prepared): PortOptions {
  return {
    token,
    tokens,
    origins,
    ...(tls === undefined ? {} : { tls: loadTls(tls) }),
    ...(maxConnections === undefined ? {} : { limits: { connections: maxConnections } }),
  }
}

/** How many processes share the work. */
export function workersOf({ workers }: RunOptions, environment: Environment): number {
  if (workers !== undefined) {
    if (/^[1-9]\d{0,2}$/.test(workers)) return Number(workers)
    throw new UsageError(`--workers: '${workers}' is no number of processes`)
  }
  const count = env('WEIR_WORKERS').int().default(1).read(environment)
  if (count >= 1) return count
  throw new WeirError('WEIR_CONFIG_ENVIRONMENT', `reading WEIR_WORKERS: ${count} processes can't run`, {
    hint: 'Set WEIR_WORKERS to 1 or more.',
  })
}

/** What tells a worker to stop, and what the last one was. */
export function stopOf({ signals$ }: Io): { readonly stop$: Observable<Signal>; readonly last: () => Signal } {
  let last: Signal = 'SIGTERM'
  const stop$ = signals$.pipe(
    tap((signal) => {
      last = signal
    }),
  )
  return { stop$, last: () => last }
}

/** What the process ends with; `signal` is the last one that it got. */
export function codeOf(outcome: Outcome, signal: Signal): number {
  if (outcome === 'stopped') return exitCodes.ok
  return outcome === 'interrupted' ? exitCodes[signal] : exitCodes.failed
}
