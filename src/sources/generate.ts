import { defer, EMPTY, from, NEVER, type Observable, of, repeat, takeUntil, timer } from 'rxjs'
import { z } from 'zod'
import {
  type Assigned,
  asWeirError,
  type Clock,
  type Configurable,
  defineSource,
  type Epoch,
  fn,
  noHeaders,
  type PartitionEnd,
  type Position,
  type RejectionPolicy,
  recordKeyOf,
  rejectionPolicy,
  type Source,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  storeKeyOf,
  type TopicPartition,
} from '../model/index.js'
import { type Arrivals, poisson, steady } from './generate/arrivals.js'
import { randomOf } from './generate/random.js'
import { offsetOf, soleAssignment } from './internal/sole-partition.js'

/** Records that are due are emitted in runs of at most so many, so that timers get their turn in between. */
const runLength = 1_000

export interface GenerateOptions<V> {
  /** How many events a second. */
  readonly rate: number
  /**
   * Makes the event of an index, which is due `afterMs` after event 0; `random` gives numbers in [0, 1), the same ones
   * whenever this index is made.
   */
  readonly value: (random: () => number, index: number, afterMs: number) => V
  /** The key of an event. Default: none. */
  readonly key?: (value: V) => string
  /** `poisson`: events that know nothing of each other, at that rate in the mean. Default `steady`. */
  readonly arrivals?: 'steady' | 'poisson'
  /** Another seed gives other events. Default 1. */
  readonly seed?: number
  /** How many events there are. Default: no end. */
  readonly count?: number
  /** When event 0 is due, ms since the Unix epoch; those of the past come at once. Default: when the flow starts. */
  readonly start?: number
  /** What becomes of an event of which a function throws. Default `fail`. */
  readonly onError?: RejectionPolicy
  /** Names the stage in graphs, logs and metrics. Default `generate`. */
  readonly name?: string
}

const schema = z.strictObject({
  rate: z.number().positive().describe('How many events a second.'),
  value: fn<GenerateOptions<unknown>['value']>().describe('Makes the event of an index from random numbers.'),
  key: fn<(value: unknown) => string>().optional().describe('The key of an event; none if not given.'),
  arrivals: z
    .enum(['steady', 'poisson'])
    .default('steady')
    .describe('How events follow each other: at the same distance, or at random ones.'),
  seed: z.int().default(1).describe('Another seed gives other events.'),
  count: z.int().min(0).default(Number.MAX_SAFE_INTEGER).describe('How many events there are.'),
  start: z
    .number()
    .optional()
    .describe('When event 0 is due, ms since the Unix epoch; when the flow starts if not given.'),
  onError: rejectionPolicy.optional().describe('What becomes of an event of which a function throws.'),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the source's name if not given."),
})

export const generateDefinition = defineSource({
  name: 'generate',
  summary: 'Makes events at a given rate, the same ones for the same seed.',
  options: schema,
  replayable: true,
  positions: 'store',
  detail: ({ rate }) => `${rate}/s`,
  build: (given, context) => new GenerateTask(given, context),
})

/**
 * Makes events at a given rate, for trying and for tests. The offset of an event is its index, and its value depends on
 * the seed and the index alone, so that a replay makes the same ones. Event n is due n / rate seconds after event 0
 * (with Poisson arrivals: so in the mean) and has that time; whatever held it up, the rate is caught up with. After
 * `count` events it idles.
 */
export function generate<V>(options: Configurable<GenerateOptions<V>>): Source<V> {
  return generateDefinition.declare(options)
}

class GenerateTask implements SourceTask {
  private readonly partition: TopicPartition
  private readonly clock: Clock
  private position = 0
  /** When event 0 is due, ms. */
  private origin = 0
  /** By how much the time at the start was ahead of the steady clock, ms: a clock that is set later changes no pace. */
  private aheadMs = 0
  private hasStarted = false
  private readonly arrivals: Arrivals

  constructor(
    private readonly options: z.output<typeof schema>,
    private readonly context: SourceContext,
  ) {
    this.partition = { topic: `generate:${context.stage}`, partition: 0 }
    this.clock = context.clock
    const { rate, seed, arrivals } = options
    this.arrivals = arrivals === 'steady' ? steady(rate) : poisson(rate, seed)
  }

  get assignments$(): Observable<Assigned> {
    return soleAssignment(this.partition, (positions) => this.start(positions))
  }

  /** Emits what is due, sleeps until the next is, and so on until the epoch is full or cut. */
  read(epoch: Epoch): Observable<StreamRecord> {
    return defer(() => from(this.due(epoch))).pipe(
      repeat({ delay: () => (epoch.room() > 0 ? this.next() : EMPTY) }),
      takeUntil(epoch.cut$),
    )
  }

  positions(): readonly Position[] {
    return [{ ...this.partition, offset: this.position }]
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = offsetOf(this.partition, positions) ?? this.position
      return EMPTY
    })
  }

  commit(): Observable<never> {
    return EMPTY
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => of([{ ...this.partition, offset: this.position, end: this.end() }]))
  }

  private start(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.hasStarted = true
      this.position = offsetOf(this.partition, positions) ?? 0
      // eslint-disable-next-line no-restricted-syntax -- the one is told from the other
      this.aheadMs = this.clock.now() - this.clock.scheduler.now()
      this.origin = this.options.start ?? this.now() - this.arrivals.at(this.position)
      return EMPTY
    })
  }

  private *due(epoch: Epoch): Generator<StreamRecord> {
    for (const last = this.position + runLength; this.position < last && this.isDue(); ) {
      if (epoch.room() === 0) return
      const record = this.made(this.position++)
      if (record !== undefined) yield record
      // Afterwards, for what fills the epoch also ends it.
      epoch.take(1, 0)
    }
  }

  private next(): Observable<unknown> {
    if (this.position >= this.options.count) return NEVER
    const wait = this.dueAt(this.position) - this.now()
    return timer(Math.max(0, Math.ceil(wait)), this.clock.scheduler)
  }

  /** An event; undefined where a function throws, and it is rejected. */
  private made(index: number): StreamRecord | undefined {
    try {
      return this.event(index)
    } catch (error) {
      const timestamp = Math.floor(this.dueAt(index))
      const origin = { ...this.partition, offset: index, timestamp }
      const record = new StreamRecord(null, null, timestamp, noHeaders, origin)
      this.context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
      return undefined
    }
  }

  private event(index: number): StreamRecord {
    const { seed, key } = this.options
    const value = this.options.value(randomOf(seed, index), index, this.arrivals.at(index))
    const timestamp = Math.floor(this.dueAt(index))
    const origin = { ...this.partition, offset: index, value, timestamp }
    return new StreamRecord(recordKeyOf(storeKeyOf(key?.(value))), value, timestamp, noHeaders, origin)
  }

  private isDue(): boolean {
    return this.position < this.options.count && this.dueAt(this.position) <= this.now()
  }

  /** How many events are due, or have been made already. */
  private end(): number {
    if (!this.hasStarted) return this.position
    const due = this.arrivals.countBy(this.now() - this.origin)
    return Math.max(this.position, Math.min(this.options.count, due))
  }

  private now(): number {
    return this.clock.scheduler.now() + this.aheadMs
  }

  private dueAt(index: number): number {
    return this.origin + this.arrivals.at(index)
  }
}
