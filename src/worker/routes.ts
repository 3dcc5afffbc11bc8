import { defer, from, map, mergeMap, type Observable, of } from 'rxjs'
import type { FlowStatus } from '../engine/status.js'
import { type Clock, describeError, type HttpReply, type HttpRoute, type WeirError } from '../model/index.js'
import type { Crew, Statement, Topic } from './crew.js'
import { ailments, isReady } from './health.js'
import { type Metrics, type MetricValues, sumOf } from './metrics.js'

export interface AnswerOptions {
  readonly flows: () => readonly FlowStatus[]
  readonly clock: Clock
  readonly metrics: Metrics
  readonly stuckAfterMs: number
  /** Takes secrets out of texts. */
  readonly redact: (text: string) => string
  readonly isStopping: () => boolean
}

interface FlowBrief {
  readonly flow: string
  readonly state: string
}

interface Health {
  readonly status: 'ok' | 'failing'
  readonly reasons: readonly object[]
  readonly flows: readonly FlowBrief[]
}

interface Readiness {
  readonly status: 'ready' | 'not ready'
  readonly flows: readonly FlowBrief[]
}

/** What a worker says of itself on each topic, as data that reaches another process unchanged. */
export interface WorkerAnswers extends Record<Topic, () => Observable<unknown>> {
  health(): Observable<Health>
  ready(): Observable<Readiness>
  metrics(): Observable<MetricValues>
}

export function workerAnswers(options: AnswerOptions): WorkerAnswers {
  const { flows, clock, metrics, stuckAfterMs, redact, isStopping } = options
  const briefs = () => flows().map((status) => brief(status, clock, redact))
  return {
    health: () =>
      defer(() => {
        const reasons = ailments(flows(), { now: clock.scheduler.now(), stuckAfterMs, redact })
        return of({ status: reasons.length === 0 ? 'ok' : 'failing', reasons, flows: briefs() } as const)
      }),
    ready: () =>
      defer(() => {
        const ready = isReady(flows()) && !isStopping()
        return of({ status: ready ? 'ready' : 'not ready', flows: briefs() } as const)
      }),
    metrics: () => defer(() => from(metrics.values())),
  }
}

export interface RouteOptions {
  readonly answers: WorkerAnswers
  readonly metrics: Metrics
  /** What `/version` tells. */
  readonly about: object
  /** What `/views` tells. */
  readonly views: () => readonly object[]
  /** All workers, where there are several. */
  readonly crew: Crew | undefined
}

/** What a worker tells of itself, or of all workers: `/health`, `/ready`, `/metrics`, `/version`, `/views`. */
export function workerRoutes({ answers, metrics, about, views, crew }: RouteOptions): readonly HttpRoute[] {
  const text$ = defer(() => from(metrics.scrape()))
  return [
    get('/version', () => of({ status: 200, body: about })),
    get('/views', () => defer(() => of({ status: 200, body: { views: views() } }))),
    get('/health', () => crew?.ask('health').pipe(map(healthOfAll)) ?? answers.health().pipe(map(reply)), true),
    get('/ready', () => crew?.ask('ready').pipe(map(readinessOfAll)) ?? answers.ready().pipe(map(reply)), true),
    get('/metrics', () =>
      (crew?.ask('metrics').pipe(mergeMap(metricsOfAll, 1)) ?? text$).pipe(
        map((body) => ({ status: 200, headers: { 'content-type': metrics.contentType }, body })),
      ),
    ),
  ]
}

function reply(body: Health | Readiness): HttpReply {
  return { status: body.status === 'ok' || body.status === 'ready' ? 200 : 503, body }
}

/** One that still starts is in health, as its flows would be. */
function healthOfAll(statements: readonly Statement[]): HttpReply {
  const reasons = statements.flatMap(({ worker, ...statement }) => {
    if (statement.absent === undefined) return (statement.says as Health).reasons.map((each) => ({ worker, ...each }))
    const { state } = statement.absent
    return state === 'down' || state === 'silent' ? [{ worker, ...statement.absent }] : []
  })
  const status = reasons.length === 0 ? 'ok' : 'failing'
  return { status: reasons.length === 0 ? 200 : 503, body: { status, reasons, workers: statements.map(told) } }
}

function readinessOfAll(statements: readonly Statement[]): HttpReply {
  const ready = statements.every((statement) =>
    statement.absent === undefined
      ? (statement.says as Readiness).status === 'ready'
      : statement.absent.state === 'ended',
  )
  const status = ready ? 'ready' : 'not ready'
  return { status: ready ? 200 : 503, body: { status, workers: statements.map(told) } }
}

function told({ worker, ...statement }: Statement): object {
  if (statement.absent !== undefined) return { worker, ...statement.absent }
  const { status, flows } = statement.says as Health | Readiness
  return { worker, status, flows }
}

function metricsOfAll(statements: readonly Statement[]): Promise<string> {
  return sumOf(
    statements.flatMap((statement) => (statement.absent === undefined ? [statement.says as MetricValues] : [])),
  )
}

function brief(status: FlowStatus, { now, scheduler }: Clock, redact: (text: string) => string) {
  const wallTime = (at: number) => new Date(now() - (scheduler.now() - at)).toISOString()
  const { flow, state, since, error, trouble, failures, failingSince, lastCommitAt } = status
  const told = (fault: WeirError) => ({ code: fault.code, text: redact(describeError(fault)) })
  return {
    flow,
    state,
    since: wallTime(since),
    ...(lastCommitAt === undefined ? {} : { lastCommit: wallTime(lastCommitAt) }),
    ...(failingSince === undefined ? {} : { failingSince: wallTime(failingSince) }),
    ...(error === undefined ? {} : { failures, error: told(error) }),
    ...(trouble === undefined ? {} : { trouble: told(trouble) }),
  }
}

function get(path: string, handle: () => Observable<HttpReply>, isOpen = false): HttpRoute {
  return { method: 'GET', path, bodyLimit: 0, handle, isOpen }
}
