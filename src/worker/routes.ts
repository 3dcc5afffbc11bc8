import { defer, from, map, of } from 'rxjs'
import type { FlowStatus } from '../engine/status.js'
import { describeError, type HttpReply, type HttpRoute } from '../model/index.js'
import { ailments, isReady } from './health.js'
import type { Metrics } from './metrics.js'

export interface RouteOptions {
  readonly flows: () => readonly FlowStatus[]
  readonly now: () => number
  readonly metrics: Metrics
  readonly stuckAfterMs: number
  readonly isStopping: () => boolean
  /** What `/version` tells. */
  readonly about: object
}

/** What a worker tells of itself: `/health`, `/ready`, `/metrics`, `/version`. */
export function workerRoutes(options: RouteOptions): readonly HttpRoute[] {
  const { metrics, about } = options
  return [
    get('/health', () => health(options)),
    get('/ready', () => readiness(options)),
    get('/version', () => ({ status: 200, body: about })),
    {
      ...base('/metrics'),
      handle: () =>
        defer(() => from(metrics.scrape())).pipe(
          map((body) => ({ status: 200, headers: { 'content-type': metrics.contentType }, body })),
        ),
    },
  ]
}

function health({ flows, now, stuckAfterMs }: RouteOptions): HttpReply {
  const reasons = ailments(flows(), { now: now(), stuckAfterMs })
  const body = { status: reasons.length === 0 ? 'ok' : 'failing', reasons, flows: flows().map(brief) }
  return { status: reasons.length === 0 ? 200 : 503, body }
}

function readiness({ flows, isStopping }: RouteOptions): HttpReply {
  const ready = isReady(flows()) && !isStopping()
  return { status: ready ? 200 : 503, body: { status: ready ? 'ready' : 'not ready', flows: flows().map(brief) } }
}

function brief({ flow, state, error, failures, lastCommitAt }: FlowStatus) {
  return {
    flow,
    state,
    ...(lastCommitAt === undefined ? {} : { lastCommit: new Date(lastCommitAt).toISOString() }),
    ...(error === undefined ? {} : { failures, error: describeError(error) }),
  }
}

function get(path: string, reply: () => HttpReply): HttpRoute {
  return { ...base(path), handle: () => defer(() => of(reply())) }
}

function base(path: string) {
  return { method: 'GET', path, bodyLimit: 0 } as const
}
