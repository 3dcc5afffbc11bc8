import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  from,
  ignoreElements,
  type Observable,
  of,
  repeat,
  share,
  takeUntil,
  tap,
  timer,
} from 'rxjs'
import type { PartitionLag as Measured, MeasuredGroup } from '../../kafka/measured-groups.js'
import {
  type Assigned,
  asWeirError,
  type Epoch,
  noHeaders,
  type PartitionEnd,
  type Position,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  type TopicPartition,
  type WeirError,
} from '../../model/index.js'
import { ReplayLog } from '../internal/replay-log.js'
import { soleAssignment } from '../internal/sole-partition.js'
import type { GroupLag, PartitionLag } from './group-lag.js'
import { drainSecondsOf, rounded, Trends } from './trend.js'

interface LagSettings {
  /** Those that are expected to be there. */
  readonly groups: readonly string[] | undefined
  readonly everyMs: number
}

/** Measures by `measure$`, as often as it is told to. */
export class LagTask implements SourceTask<GroupLag> {
  private readonly partition: TopicPartition
  private readonly log: ReplayLog<StreamRecord<GroupLag>>
  private readonly trends = new Trends()
  /** When it is measured next, a time of the clock's scheduler. */
  private dueAt = Number.NEGATIVE_INFINITY
  /** The measurement that is under way; an epoch may end before it does, and the next one waits on. */
  private measuring$: Observable<unknown> | undefined
  private fault: WeirError | undefined
  private missing: ReadonlySet<string> = new Set()

  constructor(
    private readonly settings: LagSettings,
    private readonly measure$: Observable<readonly MeasuredGroup[]>,
    private readonly context: SourceContext,
  ) {
    this.partition = { topic: `lag:${context.stage}`, partition: 0 }
    this.log = new ReplayLog(this.partition)
  }

  get assignments$(): Observable<Assigned> {
    return soleAssignment(this.partition, (positions) =>
      defer(() => {
        this.log.start(positions)
        return EMPTY
      }),
    )
  }

  read(epoch: Epoch): Observable<StreamRecord<GroupLag>> {
    return defer(() => from(this.waiting(epoch))).pipe(
      repeat({ delay: () => (epoch.room() > 0 ? this.more() : EMPTY) }),
      takeUntil(epoch.cut$),
    )
  }

  positions(): readonly Position[] {
    return this.log.positions()
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return this.log.rewind(positions)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return this.log.commit(positions)
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return this.log.ends()
  }

  trouble(): WeirError | undefined {
    return this.fault
  }

  private *waiting(epoch: Epoch): Generator<StreamRecord<GroupLag>> {
    while (epoch.room() > 0) {
      const record = this.log.next()
      if (record === undefined) return
      yield record
      // Afterwards, for what fills the epoch also ends it.
      epoch.take(1, 0)
    }
  }
  /** Emits when it was measured again. */
  private more(): Observable<unknown> {
    const { scheduler } = this.context.clock
    const waitMs = Math.max(0, this.dueAt - scheduler.now())
    const measured$ = this.measuring$ ?? timer(waitMs, scheduler).pipe(concatMap(() => this.begin()))
    return concat(measured$.pipe(ignoreElements()), of(undefined))
  }

  private begin(): Observable<unknown> {
    const { clock, log } = this.context
    this.dueAt = clock.scheduler.now() + this.settings.everyMs
    this.measuring$ = this.measure$.pipe(
      tap((groups) => {
        this.fault = undefined
        this.tellMissing(groups)
        for (const lag of this.lagsOf(groups)) this.push(lag)
      }),
      catchError((error: unknown) => {
        this.fault = asWeirError(error, 'WEIR_SOURCE_UNREACHABLE')
        log.warn(`${this.fault.message}; measuring again in its turn`)
        return EMPTY
      }),
      // Before anybody hears of it, who would wait on what is over.
      tap({
        complete: () => {
          this.measuring$ = undefined
        },
      }),
      share({ resetOnRefCountZero: false }),
    )
    return this.measuring$
  }

  private *lagsOf(groups: readonly MeasuredGroup[]): Generator<GroupLag> {
    const { clock } = this.context
    const now = clock.now()
    const measured = groups.flatMap(({ group, state, partitions }) => {
      return [...byTopic(partitions)].map(([topic, its]) => {
        const told = its.map((one) => partitionLagOf(one, now))
        const records = told.reduce((sum, one) => sum + one.records, 0)
        return { group, topic, state, records, seconds: oldest(told), partitions: told }
      })
    })
    const growths = this.trends.take(new Map(measured.map((one) => [keyOf(one), one.records])), clock.scheduler.now())
    for (const { partitions, ...one } of measured) {
      const growth = growths.get(keyOf(one)) ?? null
      yield { ...one, growth, drainSeconds: drainSecondsOf(one.records, growth), partitions }
    }
  }

  private push(lag: GroupLag): void {
    const timestamp = this.context.clock.now()
    const key = keyOf(lag)
    const origin = { ...this.partition, offset: this.log.end, key, value: lag, timestamp }
    this.log.push(new StreamRecord(key, lag, timestamp, noHeaders, origin))
  }

  /** Once, until they have been there. */
  private tellMissing(groups: readonly MeasuredGroup[]): void {
    const there = new Set(groups.map(({ group }) => group))
    const missing = (this.settings.groups ?? []).filter((group) => !there.has(group))
    for (const group of missing)
      if (!this.missing.has(group)) this.context.log.warn(`there is no group '${group}' whose lag could be measured`)
    this.missing = new Set(missing)
  }
}

function keyOf({ group, topic }: Pick<GroupLag, 'group' | 'topic'>): string {
  return `${group}/${topic}`
}

function byTopic(partitions: readonly Measured[]): ReadonlyMap<string, readonly Measured[]> {
  const topics = new Map<string, Measured[]>()
  for (const one of partitions) topics.set(one.topic, [...(topics.get(one.topic) ?? []), one])
  return topics
}

function partitionLagOf({ partition, committed, end, records, unreadSince }: Measured, now: number): PartitionLag {
  const seconds = records === 0 ? 0 : unreadSince === null ? null : rounded(Math.max(0, now - unreadSince) / 1_000)
  return { partition, committed, end, records, seconds }
}

/** Null where there is something to read, and nobody could tell how old any of it is. */
function oldest(partitions: readonly PartitionLag[]): number | null {
  const behind = partitions.filter(({ records }) => records > 0)
  const known = behind.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]))
  if (behind.length === 0) return 0
  return known.length === 0 ? null : known.reduce((most, seconds) => Math.max(most, seconds), 0)
}
