import { deepStrictEqual } from 'node:assert/strict'
import {
  catchError,
  defer,
  finalize,
  map,
  type Observable,
  type OperatorFunction,
  type SchedulerAction,
  throwError,
} from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import type { Flow } from '../engine/index.js'
import { type Policies, policyFor } from '../engine/topology.js'
import {
  asWeirError,
  Batch,
  type Clock,
  describeError,
  noHeaders,
  type Operator,
  type OperatorContext,
  partsOf,
  type RejectionPolicy,
  StreamRecord,
  silentLogger,
  type WeirError,
} from '../model/index.js'
import { type FlowRun, MarbleFlow } from './flow-run.js'
import { MarbleTime } from './marble-time.js'
import { VirtualClock } from './virtual-clock.js'
import type { VirtualFlowOptions } from './virtual-flow.js'

type ColdObservable<T> = ReturnType<typeof TestScheduler.prototype.createColdObservable<T>>
type HotObservable<T> = ReturnType<typeof TestScheduler.prototype.createHotObservable<T>>
type SubscriptionLogs = ColdObservable<unknown>['subscriptions']

export interface MarbleOperatorOptions {
  /** What becomes of rejected records. Default: what the stage says. */
  readonly onError?: RejectionPolicy
  /** Parts of the context that the test has its own of: a store, a connection. */
  readonly context?: Partial<OperatorContext>
}

export interface MarbleHelpers extends RunHelpers {
  /** Builds a stage, in virtual time. */
  operator<In, Out>(
    stage: Operator<In, Out>,
    options?: MarbleOperatorOptions,
  ): OperatorFunction<StreamRecord<In>, StreamRecord<Out>>
  /** A cold observable of records: each value becomes one, unless it is one already. */
  records<V = string>(
    marbles: string,
    values?: Readonly<Record<string, V | StreamRecord<V>>>,
    error?: unknown,
  ): ColdObservable<StreamRecord<V>>
  /** Compares the values of records, a batch as the array of its values, and errors by their code. */
  expectRecords(records$: Observable<StreamRecord>, unsubscription?: string): RecordsExpectation
  /** Compares when records were rejected, and with which code. */
  expectRejections(marbles: string, codes?: Readonly<Record<string, string>>): void
  /** A whole flow, with logs in place of its sources and diagrams in place of its sinks. */
  flow(declared: Flow, options?: VirtualFlowOptions): FlowRun
  readonly rejections: readonly Rejection[]
  /** Virtual time; its wall part can be set. */
  readonly clock: VirtualClock
  readonly streamTime: MarbleTime
}

export interface RecordsExpectation {
  toBe(marbles: string, values?: Readonly<Record<string, unknown>>, errorCode?: unknown): void
}

export interface Rejection {
  readonly record: StreamRecord
  readonly error: WeirError
  /** Virtual ms. */
  readonly at: number
}

/** A record of `test-0`, as tests need one. */
export function testRecord<V>(
  value: V,
  fields: Partial<StreamRecord> & { offset?: number; partition?: number } = {},
): StreamRecord<V> {
  const { key = null, timestamp, headers = noHeaders, behindMs = 0, offset = 0, partition = 0 } = fields
  const origin = fields.origin ?? { topic: 'test', partition, offset, key, value, timestamp, headers }
  return new StreamRecord(key, value, timestamp ?? 0, headers, origin, behindMs)
}

/**
 * A marble test, for `test(name, marbles(({ records, operator, … }) => { … }))`. Time is virtual: one character is 1 ms.
 *
 * Beside what the test itself compares, it fails when something leaks: an observable made here that is still subscribed
 * at the end, a timer of a stage that fires after the stage has ended, a rejection or a subscription that no one expected.
 */
export function marbles(test: (helpers: MarbleHelpers) => void): () => void {
  return () => {
    const scheduler = new TestScheduler(deepStrictEqual)
    let bench: MarbleBench | undefined
    try {
      scheduler.run((helpers) => {
        bench = new MarbleBench(scheduler, helpers)
        test(bench.helpers())
        bench.launch()
      })
      bench?.verify()
    } catch (error) {
      throw bench?.explained(error) ?? error
    }
  }
}

class MarbleBench {
  private readonly rejections: Rejection[] = []
  private readonly leaks: string[] = []
  private readonly made = new Map<SubscriptionLogs, string>()
  private readonly compared = new Set<SubscriptionLogs>()
  private readonly streamTime = new MarbleTime()
  private readonly clock: VirtualClock
  private readonly flows: MarbleFlow[] = []
  private expectedRejections: { readonly frame: number; readonly code: unknown }[] = []

  constructor(
    private readonly scheduler: TestScheduler,
    private readonly run: RunHelpers,
  ) {
    this.clock = new VirtualClock(scheduler)
  }

  helpers(): MarbleHelpers {
    const { run, rejections, streamTime } = this
    return {
      ...run,
      rejections,
      streamTime,
      clock: this.clock,
      cold: ((...args: Parameters<RunHelpers['cold']>) => this.watch(args[0], run.cold(...args))) as RunHelpers['cold'],
      hot: ((...args: Parameters<RunHelpers['hot']>) => this.watch(args[0], run.hot(...args))) as RunHelpers['hot'],
      records: (marbles, values, error) => this.records(marbles, values, error),
      operator: (stage, options) => this.operator(stage, options),
      flow: (declared, options) => this.flow(declared, options),
      expectSubscriptions: (logs) => {
        this.compared.add(logs)
        return run.expectSubscriptions(logs)
      },
      expectRecords: (records$, unsubscription) => ({
        toBe: (marbles, values, errorCode) =>
          run.expectObservable(plain(records$), unsubscription).toBe(marbles, values, errorCode),
      }),
      expectRejections: (marbles, codes) => {
        this.expectedRejections = TestScheduler.parseMarbles(marbles, codes, undefined, false, true).map(
          ({ frame, notification }) => ({ frame, code: (notification as { value?: unknown }).value }),
        )
      },
    }
  }

  launch(): void {
    for (const flow of this.flows) flow.launch()
  }

  verify(): void {
    for (const flow of this.flows) flow.verify()
    deepStrictEqual(
      this.rejections.map(({ at, error }) => ({ frame: at, code: error.code })),
      this.expectedRejections,
    )
    for (const [logs, name] of this.made) {
      if (logs.some(({ unsubscribedFrame }) => unsubscribedFrame === Infinity))
        this.leaks.push(`'${name}' is still subscribed`)
      if (!this.compared.has(logs))
        this.leaks.push(`the subscriptions of '${name}' were not compared: expectSubscriptions`)
    }
    deepStrictEqual(this.leaks, [], `at the end of a marble test: ${this.leaks.join('; ')}`)
  }

  /** Why a test failed may be that the flow did: its last error is told with what was compared. */
  explained(error: unknown): unknown {
    const told = this.flows.flatMap(({ virtual: { lastError } }) => (lastError === undefined ? [] : [lastError]))
    if (error instanceof Error && told.length > 0)
      error.message += told.map((one) => `\nThe last error of the flow: ${describeError(one)}`).join('')
    return error
  }

  private flow(declared: Flow, options?: VirtualFlowOptions): FlowRun {
    const flow = new MarbleFlow(declared, this.scheduler, this.run, options)
    this.flows.push(flow)
    return flow
  }

  private watch<O extends ColdObservable<unknown> | HotObservable<unknown>>(name: string, observable: O): O {
    this.made.set(observable.subscriptions, name)
    return observable
  }

  private records<V>(
    marbles: string,
    values?: Readonly<Record<string, V | StreamRecord<V>>>,
    error?: unknown,
  ): ColdObservable<StreamRecord<V>> {
    const given = values ?? (Object.fromEntries([...marbles].map((letter) => [letter, letter])) as Record<string, V>)
    const records: Record<string, StreamRecord<V>> = {}
    for (const [offset, [letter, value]] of Object.entries(given).entries()) {
      records[letter] = value instanceof StreamRecord ? value : testRecord(value, { offset })
    }
    return this.watch(marbles, this.run.cold(marbles, records, error))
  }

  private operator<In, Out>(
    { definition, options }: Operator<In, Out>,
    { onError, context = {} }: MarbleOperatorOptions = {},
  ): OperatorFunction<StreamRecord<In>, StreamRecord<Out>> {
    const parsed = definition.options.parse(options) as { onError?: Parameters<typeof partsOf>[0] }
    const policy = onError ?? partsOf(parsed.onError).policy ?? definition.onError ?? 'fail'
    const late = onError ?? definition.late?.(parsed)
    let running = 0
    const clock = this.clockWhile(() => running > 0)
    const build = definition.build(parsed, { ...this.context(definition.name, clock, { policy, late }), ...context })
    return (records$) =>
      defer(() => {
        running++
        return (build as OperatorFunction<StreamRecord, StreamRecord>)(records$).pipe(finalize(() => running--))
      }) as Observable<StreamRecord<Out>>
  }

  private context(stage: string, clock: Clock, policies: Policies): OperatorContext {
    const missing = (what: string) => (): never => {
      throw new Error(
        `running stage '${stage}': this marble test has no ${what}; give one in the options of operator()`,
      )
    }
    return {
      app: 'test',
      flow: 'test',
      stage,
      clock,
      log: silentLogger,
      time: this.streamTime,
      connection: missing('connection'),
      store: missing('store'),
      reject: (record, thrown) => {
        const error = asWeirError(thrown)
        if (policyFor(policies, error) === 'fail') throw error
        this.rejections.push({ record, error, at: this.scheduler.now() })
      },
    }
  }

  /** Virtual time, and a watch on timers: one that fires when nothing waits for it has leaked. */
  private clockWhile(isRunning: () => boolean): Clock {
    const { scheduler, leaks } = this
    const today = Date.now()
    return {
      // So that no record of today claims to be of the future.
      now: () => today + this.clock.now(),
      scheduler: {
        now: () => scheduler.now(),
        schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay?: number, state?: T) {
          return scheduler.schedule<T>(
            function (given) {
              if (isRunning()) work.call(this, given)
              else leaks.push(`a timer fired at ${scheduler.now()} ms, after its stage had ended`)
            },
            delay,
            state,
          )
        },
      },
    }
  }
}

/** Values of records, those of a batch as an array, and codes of errors: what a diagram can show. */
function plain(records$: Observable<StreamRecord>): Observable<unknown> {
  return records$.pipe(
    map(({ value }) => (value instanceof Batch ? value.values : value)),
    catchError((error: unknown) => throwError(() => (error as Partial<WeirError>)?.code ?? error)),
  )
}
