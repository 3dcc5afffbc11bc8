import {
  catchError,
  defer,
  from,
  identity,
  type MonoTypeOperatorFunction,
  map,
  mergeMap,
  type Observable,
  type ObservableInput,
  type ObservedValueOf,
  of,
  retry,
  type SchedulerLike,
  tap,
  throwError,
  timeout,
  timer,
  toArray,
} from 'rxjs'
import { z } from 'zod'
import {
  asWeirError,
  type Duration,
  defineOperator,
  duration,
  fn,
  type Operator,
  type StreamRecord,
  someTime,
  WeirError,
} from '../model/index.js'
import { type Answer, inOrder } from './internal/in-order.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Project<V, O> = (value: V, record: StreamRecord<V>, signal: AbortSignal) => O
type AnyProject = Project<unknown, ObservableInput<unknown>>

export interface MapAsyncOptions extends RejectingStage {
  /** How many calls run at once. Default 8. */
  readonly concurrency?: number
  /** Whether results leave in the order of their records. Default true. */
  readonly ordered?: boolean
  /** How long one try may take. Default: as long as it likes. */
  readonly timeout?: Duration
  /** How often a call is tried, and the pause after the first failure, which doubles with each. Default: once. */
  readonly retry?: { readonly attempts: number; readonly backoff?: Duration }
}

export const mapAsyncDefinition = defineOperator({
  name: 'mapAsync',
  summary: 'Makes another value of each value by an asynchronous call, many at once.',
  options: z.strictObject({
    project: fn<AnyProject>({ mayWait: true }).describe('The call: returns a promise, an observable or an iterable.'),
    concurrency: z.int().min(1).default(8).describe('How many calls run at once.'),
    ordered: z.boolean().default(true).describe('Whether results leave in the order of their records.'),
    timeout: someTime.optional().describe('How long one try may take.'),
    retry: z
      .strictObject({
        attempts: z.int().min(1).describe('How often a call is tried, the first time included.'),
        backoff: duration.default(100).describe('The pause after the first failure; it doubles with each.'),
      })
      .optional()
      .describe('Tries a failed call again.'),
    ...rejectingStage,
  }),
  reorders: ({ ordered }) => !ordered,
  build: ({ project, concurrency, ordered, timeout: timeoutMs, retry: again }, context) => {
    const { scheduler } = context.clock
    const call = (record: StreamRecord, index: number): Observable<Answer<StreamRecord>> =>
      attempt(project, record).pipe(
        timeoutMs === undefined ? identity : within(timeoutMs, scheduler),
        again === undefined ? identity : retry({ count: again.attempts - 1, delay: pauses(again.backoff, scheduler) }),
        map((values) => ({ index, results: values.map((value) => record.with(value)) })),
        catchError((error: unknown) => {
          context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
          return of({ index, results: [] })
        }),
      )
    return (records$) =>
      records$.pipe(mergeMap(call, concurrency), ordered ? inOrder() : mergeMap(({ results }) => results, 1))
  },
})

/**
 * Makes another value of each value by an asynchronous call: a promise, or an observable with none, one or many
 * results. At most `concurrency` calls run at once. Results leave in the order of their records (a slow call holds back
 * the results behind it), or with `ordered: false` as they come; those of one call always together, when it is done. What
 * goes by an internal topic needs the order: before `keyBy` and a stage that keeps state, `ordered: false` is refused.
 *
 * `signal` aborts when the call is given up: by `timeout`, or because the epoch ended early. A call that still fails
 * after its tries rejects the record with WEIR_STAGE_FAILED or WEIR_STAGE_TIMEOUT; by default that ends the epoch.
 * Calls are repeated when an epoch is replayed.
 */
export function mapAsync<V, O extends ObservableInput<unknown>>(
  project: Project<V, O>,
  options: MapAsyncOptions = {},
): Operator<V, ObservedValueOf<O>> {
  return mapAsyncDefinition.declare({ ...options, project })
}

/** One try. Its results are gathered, so that a try which fails halfway leaves none behind. */
function attempt(project: AnyProject, record: StreamRecord): Observable<readonly unknown[]> {
  return defer(() => {
    const controller = new AbortController()
    return from(project(record.value, record, controller.signal)).pipe(
      toArray(),
      tap({ unsubscribe: () => controller.abort() }),
    )
  })
}

function within<T>(timeoutMs: number, scheduler: SchedulerLike): MonoTypeOperatorFunction<T> {
  const late = () =>
    new WeirError('WEIR_STAGE_TIMEOUT', `awaiting a call: no answer within ${timeoutMs} ms`, {
      hint: 'Look at what is called, or raise the timeout of the stage.',
    })
  return timeout({ first: timeoutMs, scheduler, with: () => throwError(late) })
}

function pauses(
  backoffMs: number,
  scheduler: SchedulerLike,
): (error: unknown, failures: number) => Observable<unknown> {
  return (_error, failures) => timer(backoffMs * 2 ** (failures - 1), scheduler)
}
