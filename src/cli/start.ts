import { createLogUpdate } from 'log-update'
import { EMPTY, finalize, ignoreElements, merge, type Observable, takeUntil, tap, timer } from 'rxjs'
import type { Topology } from '../engine/index.js'
import { type Environment, env, type Logger } from '../model/index.js'
import type { Running } from '../worker/worker.js'
import { Dashboard } from './dashboard.js'
import type { Io } from './io.js'
import { painter } from './paint.js'
import { type Prepared, prepare } from './prepare.js'
import { type Company, runPrepared } from './run.js'
import type { RunOptions } from './run-options.js'
import { traffic } from './traffic.js'
import { curl, postPaths, render } from './view.js'

const demoPath = '/activity'
const reportEveryMs = 5_000

/** Windows short enough that rows appear while one watches. */
const demoDefaults: Environment = { FLUSH_INTERVAL_SEC: '5', ALLOWED_LATENESS_SEC: '2', IDLE_AFTER_SEC: '2' }

/** `weir start`: all flows, with a view of them on a terminal, and visitors as long as no real Kafka is named. */
export async function start(options: RunOptions, io: Io): Promise<number> {
  const defaults = (environment: Environment) => (wantsTraffic(environment) ? demoDefaults : {})
  const prepared = await prepare({ config: options.config, defaults, toRun: true }, io)
  const isWatched = io.stdout.isTTY === true && options.json !== true
  return runPrepared(prepared, options, io, isWatched ? watched(prepared, io) : unwatched(prepared, io))
}

/** A view that is drawn over and over, with the log above it. */
function watched({ topology, environment, redact }: Prepared, io: Io): Company {
  const dashboard = new Dashboard(topology)
  const terminal = createLogUpdate(io.stdout as NodeJS.WriteStream)
  const paint = painter(io.stdout, io)
  const began = Date.now()
  let frame = 0
  const draw = ({ flows, address: { port } }: Running) => {
    const now = Date.now()
    const picture = {
      app: topology.app,
      flows: dashboard.pictures(flows()),
      uptime: now - began,
      frame: frame++,
      now,
      port,
      embedded: embeddedIn(topology),
      hasTraffic: postsDemo(topology, environment),
    }
    terminal(redact(render(picture, paint)))
  }
  return {
    observer: dashboard.observer,
    log: { write: (line) => terminal.persist(line.trimEnd()) },
    run: (running) =>
      merge(
        demo(topology, environment, running),
        timer(0, 1_000).pipe(tap(() => dashboard.sample(running.flows(), Date.now()))),
        timer(0, 250).pipe(tap(() => draw(running))),
      ).pipe(
        finalize(() => {
          draw(running)
          terminal.done()
        }),
      ),
  }
}

/** A line every few seconds, for logs. */
function unwatched({ topology, environment }: Prepared, io: Io): Company {
  const dashboard = new Dashboard(topology)
  return {
    observer: dashboard.observer,
    log: io.stdout,
    run: (running, log) => {
      for (const path of topology.flows.flatMap(({ summary }) => postPaths(summary))) {
        log.info(`post events:\n  ${curl(`http://localhost:${running.address.port}`, path).join('\n  ')}`)
      }
      const report$ = timer(reportEveryMs, reportEveryMs).pipe(tap(() => report(dashboard, running, log)))
      return merge(
        demo(topology, environment, running),
        timer(0, 1_000).pipe(tap(() => dashboard.sample(running.flows(), Date.now()))),
        report$,
      )
    },
  }
}

function report(dashboard: Dashboard, { flows }: Running, log: Logger): void {
  for (const { status, read, rate, lag, closed, rejected, rows } of dashboard.pictures(flows())) {
    const rounded = Math.round(rate)
    const last = closed === undefined ? undefined : rows.at(-1)
    const { flow, state } = status
    log.info({ flow, state, read, rate: rounded, lag, closed, rejected, last }, `${read} in, ${rounded}/s, lag ${lag}`)
  }
}

function demo(topology: Topology, environment: Environment, { address, stop$ }: Running): Observable<never> {
  if (!postsDemo(topology, environment)) return EMPTY
  return traffic(`http://localhost:${address.port}${demoPath}`).pipe(ignoreElements(), takeUntil(stop$))
}

function postsDemo({ flows }: Topology, environment: Environment): boolean {
  return wantsTraffic(environment) && flows.some(({ summary }) => postPaths(summary).includes(demoPath))
}

/** Visitors come unless they are sent away, or a real Kafka is named: that gets real events only. */
function wantsTraffic(environment: Environment): boolean {
  const byDefault = (environment['KAFKA_BROKERS'] ?? '') === ''
  return env('DEMO_TRAFFIC').boolean().default(byDefault).read(environment)
}

function embeddedIn({ connections }: Topology): string[] {
  const embedded = [...connections].filter(([, { definition, options }]) => definition.isEmbedded?.(options))
  return embedded.map(([name]) => name)
}
