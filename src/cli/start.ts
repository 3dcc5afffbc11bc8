import { createLogUpdate } from 'log-update'
import { EMPTY, filter, finalize, ignoreElements, merge, type Observable, takeUntil, tap, timer } from 'rxjs'
import type { HttpSettings } from '../config/http.js'
import type { Topology } from '../engine/index.js'
import { type Environment, env, type Logger } from '../model/index.js'
import type { Running } from '../worker/worker.js'
import { Dashboard, type Row } from './dashboard.js'
import type { Io } from './io.js'
import { type Paint, painter, table } from './paint.js'
import { type Prepared, prepare, systemsOf } from './prepare.js'
import { type Company, runPrepared } from './run.js'
import type { RunOptions } from './run-options.js'
import { traffic } from './traffic.js'
import { curl, postPaths, render } from './view.js'
import { type ViewTable, viewTables } from './view-tables.js'

const demoPath = '/activity'
const reportEveryMs = 5_000

/**
 * Windows short enough that rows appear while one watches, and files as well, and events that are bad: what is said of those
 * otherwise goes before it.
 */
const demoDefaults: Environment = {
  FLUSH_INTERVAL_SEC: '5',
  ALLOWED_LATENESS_SEC: '2',
  IDLE_AFTER_SEC: '2',
  DEMO_EVERY_SEC: '15',
  PIPELINE_BAD: '0.02',
}

/**
 * `weir start [system]`: some flows, or those that run when none is named, with a view of them on a terminal, and visitors
 * as long as no real Kafka is named.
 */
export async function start(system: string | undefined, options: RunOptions, io: Io): Promise<number> {
  const prepared = await preparedToTry(system, options, io)
  if (system === undefined && options.json !== true) io.stdout.write(systemsText(prepared))
  const isWatched = io.stdout.isTTY === true && options.json !== true
  const dashboard = new Dashboard(prepared.topology)
  const company = isWatched ? watched(prepared, dashboard, io) : unwatched(prepared, dashboard, io)
  const code = await runPrepared(prepared, options, io, { company, host: '127.0.0.1' })
  if (options.json !== true) io.stdout.write(prepared.redact(closing(dashboard, painter(io.stdout, io))))
  return code
}

/** Where a Kafka is named is known when all is resolved, defaults of the demo as well, which are not for that one then. */
async function preparedToTry(system: string | undefined, { config }: RunOptions, io: Io): Promise<Prepared> {
  const isNamed = (environment: Environment) => ['KAFKA_BROKERS', 'REDPANDA_BROKER'].some((name) => environment[name])
  const prepareWith = (defaults: (environment: Environment) => Environment) =>
    prepare({ config, system, defaults, toRun: true }, io)
  const tried = await prepareWith((environment) =>
    wantsTraffic(environment, !isNamed(environment)) ? demoDefaults : {},
  )
  const isReal = !isNamed(tried.environment) && hasRealKafka(tried.topology)
  return isReal && !wantsTraffic(tried.environment, false) ? prepareWith(() => ({})) : tried
}

/** How to look at what was made, as text. */
function closing(dashboard: Dashboard, paint: Paint): string {
  return dashboard
    .lookups()
    .map(({ flow, commands }) => {
      const title = paint('bold', `what ${flow} has written:`)
      return `\n ${title}\n${commands.map((command) => `   ${command}\n`).join('')}`
    })
    .join('')
}

/** What else there is to start, as text. */
function systemsText({ config, environment }: Prepared): string {
  const rows = Object.entries(systemsOf(config, environment)).map(([name, flows]) => [
    `npm start -- ${name}`,
    flows.join(', '),
  ])
  return rows.length === 0
    ? ''
    : `what there is:\n${table(rows)
        .map((row) => `  ${row}\n`)
        .join('')}\n`
}

/** A view that is drawn over and over, with the log above it. */
function watched(prepared: Prepared, dashboard: Dashboard, io: Io): Company {
  const { topology, environment, redact, http } = prepared
  const terminal = createLogUpdate(io.stdout as NodeJS.WriteStream)
  const paint = painter(io.stdout, io)
  const began = performance.now()
  let frame = 0
  let tables: readonly ViewTable[] = []
  const draw = ({ flows, url, address: { port } }: Running) => {
    const now = Date.now()
    const picture = {
      app: topology.app,
      flows: dashboard.pictures(flows()),
      uptime: performance.now() - began,
      frame: frame++,
      now,
      port,
      url,
      columns: io.stdout.columns,
      embedded: embeddedIn(topology),
      hasTraffic: postsDemo(topology, environment),
      tables,
    }
    terminal(redact(render(picture, paint)))
  }
  return {
    observer: dashboard.observer,
    log: { write: (line) => terminal.persist(line.trimEnd()) },
    run: (running) =>
      merge(
        demo(prepared, running),
        timer(0, 1_000).pipe(tap(() => dashboard.sample(running.flows(), performance.now()))),
        tablesOf(running, http).pipe(tap((shown) => (tables = shown))),
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
function unwatched(prepared: Prepared, dashboard: Dashboard, io: Io): Company {
  const { topology, http } = prepared
  return {
    observer: dashboard.observer,
    log: io.stdout,
    run: (running, log) => {
      for (const path of topology.flows.flatMap(({ summary }) => postPaths(summary))) {
        log.info(`post events:\n  ${curl(running.url, path).join('\n  ')}`)
      }
      const report$ = timer(reportEveryMs, reportEveryMs).pipe(
        tap(() => {
          report(dashboard, running, log)
          reportMade(dashboard, log)
        }),
      )
      const tables$ = tablesOf(running, http).pipe(
        filter((_, second) => second % (reportEveryMs / 1_000) === 0),
        tap((tables) => reportTables(tables, log)),
      )
      return merge(
        demo(prepared, running),
        timer(0, 1_000).pipe(tap(() => dashboard.sample(running.flows(), performance.now()))),
        report$,
        tables$,
      ).pipe(finalize(() => reportMade(dashboard, log)))
    },
  }
}

function report(dashboard: Dashboard, { flows }: Running, log: Logger): void {
  for (const { status, read, rate, lag, closed, made, measured, rejected, rows } of dashboard.pictures(flows())) {
    const rounded = Math.round(rate)
    const last = (closed ?? made) === undefined ? undefined : rows.at(-1)
    const { flow, state } = status
    const more = measured.map(([name, value]) => `, ${name} ${value}`).join('')
    const text = `${read} in, ${rounded}/s, lag ${lag}${more}`
    log.info({ flow, state, read, rate: rounded, lag, closed, rejected, last }, text)
  }
}

/** What was made since it was told the last time, or the end of that. */
function reportMade(dashboard: Dashboard, log: Logger): void {
  for (const { flow, what, rows, more } of dashboard.news()) {
    if (more > 0) log.info({ flow }, `${more} more ${what}`)
    for (const row of rows) log.info({ flow }, textOf(row))
  }
}

function textOf(row: Row): string {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function reportTables(tables: readonly ViewTable[], log: Logger): void {
  for (const { view, name, rows } of tables.filter(({ rows }) => rows.length > 0)) {
    log.info({ view }, `${name}: ${rows.map(([key, value]) => `${key} ${value}`).join(', ')}`)
  }
}

function demo({ topology, environment, http }: Prepared, { url, stop$ }: Running): Observable<never> {
  if (!postsDemo(topology, environment)) return EMPTY
  return traffic(`${url}${demoPath}`, 1, shown(http)).pipe(ignoreElements(), takeUntil(stop$))
}

function tablesOf({ url }: Running, http: HttpSettings): Observable<readonly ViewTable[]> {
  return viewTables(url, shown(http))
}

/** A token, for callers of this very process. */
function shown({ token, tokens = {} }: HttpSettings): Readonly<Record<string, string>> {
  const any = token ?? Object.values(tokens)[0]
  return any === undefined ? {} : { authorization: `Bearer ${any}` }
}

/** Visitors come unless they are sent away, or a real Kafka is named: that gets real events only. */
function postsDemo(topology: Topology, environment: Environment): boolean {
  const isPosted = topology.flows.some(({ summary }) => postPaths(summary).includes(demoPath))
  return isPosted && wantsTraffic(environment, !hasRealKafka(topology))
}

function hasRealKafka({ connections }: Topology): boolean {
  return [...connections.values()].some(
    ({ definition, options }) => definition.kind === 'kafka' && definition.isEmbedded?.(options) === false,
  )
}

function wantsTraffic(environment: Environment, byDefault: boolean): boolean {
  return env('DEMO_TRAFFIC').boolean().default(byDefault).read(environment)
}

function embeddedIn({ connections }: Topology): string[] {
  const embedded = [...connections].filter(([, { definition, options }]) => definition.isEmbedded?.(options))
  return embedded.map(([name]) => name)
}
