import { defer, EMPTY, from, NEVER, type Observable, of, repeat, takeUntil, tap, timer } from 'rxjs'
import { z } from 'zod'
import {
  type Assigned,
  type Configurable,
  defineSource,
  type Epoch,
  messageOf,
  noHeaders,
  type PartitionEnd,
  type Position,
  type Source,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  type TopicPartition,
} from '../model/index.js'
import { offsetOf, soleAssignment } from './internal/sole-partition.js'
import { CronTimes } from './schedule/cron-times.js'

/** What is later than that, and was not held up by a run before it, has been missed: a machine was asleep. */
const lateMs = 60_000

/** One run of a schedule. */
export interface ScheduledRun {
  /** When it was to be, ISO 8601 in UTC; the record's timestamp says the same. */
  readonly at: string
}

export interface ScheduleOptions {
  /** A pattern of cron: five fields, or six with seconds first, or `@hourly` and the like. */
  readonly cron: string
  /** The zone whose clocks it goes by: `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string
  /**
   * What becomes of runs that came due while the flow did not run: the last of them is made up for (`run-once`, the default),
   * or none (`skip`).
   */
  readonly missed?: 'run-once' | 'skip'
  /**
   * What becomes of runs that come due while one is under way: they are left out (`skip`, the default), or begin all the same
   * (`allow`).
   */
  readonly overlap?: 'skip' | 'allow'
  /** Names the stage in graphs, logs and metrics. Default `schedule`. */
  readonly name?: string
}

const schema = z
  .strictObject({
    cron: z.string().describe('A pattern of cron: five fields, or six with seconds first, or `@hourly` and the like.'),
    timeZone: z.string().default('UTC').describe('The zone whose clocks it goes by: `Europe/Berlin`.'),
    missed: z
      .enum(['run-once', 'skip'])
      .default('run-once')
      .describe('What becomes of runs that came due while the flow did not run: the last is made up for, or none.'),
    overlap: z
      .enum(['skip', 'allow'])
      .default('skip')
      .describe('What becomes of runs that come due while one is under way: left out, or begun all the same.'),
    name: z
      .string()
      .min(1)
      .optional()
      .describe("Names the stage in graphs, logs and metrics; the source's name if not given."),
  })
  .superRefine(({ cron, timeZone }, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const zoneFault = faultOf(() => new CronTimes('@daily', timeZone))
    if (zoneFault !== undefined) return refuse('timeZone', `there is no such time zone: ${zoneFault}`)
    const fault = faultOf(() => {
      if (new CronTimes(cron, timeZone).next(0) === undefined) throw new RangeError('that never comes')
    })
    if (fault !== undefined) refuse('cron', `'${cron}' is no schedule: ${fault}`)
  })

export const scheduleDefinition = defineSource({
  name: 'schedule',
  summary: 'Emits a record at each time of a cron pattern.',
  options: schema,
  replayable: true,
  positions: 'store',
  detail: ({ cron, timeZone }) => `${cron} ${timeZone}`,
  build: (options, context) => new ScheduleTask(options, context),
})

/**
 * Emits a record at each time of a cron pattern, by the clocks of a time zone. Its timestamp is the time for which it was
 * scheduled, and its offset the same in seconds since 1970.
 *
 * The position is committed with what a run has written: so after a crash the flow neither forgets a run nor makes one twice.
 * Runs that came due meanwhile are one, that of the last time, or with `missed: 'skip'` none; a run that was under way when
 * the process ended was not made either. One whose epoch failed is tried again as it was. The first start makes up for nothing.
 *
 * Each run has its epoch, and the next is not begun before it is committed: what comes due until then is left out. With
 * `overlap: 'allow'` runs that come due within an epoch share it.
 *
 * Where clocks are set ahead, a time that is left out that night is run at the moment at which they go on; where they are set
 * back, one that comes twice is run the first time. A pattern whose hour is a `*` is run whenever the clocks show its time.
 * When the computer's own clock is set back, the next run waits until it has come beyond the last one.
 */
export function schedule(options: Configurable<ScheduleOptions>): Source<ScheduledRun> {
  return scheduleDefinition.declare(options)
}

/** Times are seconds since 1970 here, as offsets are. */
class ScheduleTask implements SourceTask {
  private readonly partition: TopicPartition
  private readonly times: CronTimes
  /** The first time that is not over: neither run nor left out. */
  private position = 0
  /** Runs that were begun and are not committed; those at or behind the position have to come again. */
  private begun: number[] = []
  /** When the process began to go by it, ms; undefined before. */
  private startedAt: number | undefined

  constructor(
    private readonly options: z.output<typeof schema>,
    private readonly context: SourceContext,
  ) {
    this.partition = { topic: `schedule:${context.stage}`, partition: 0 }
    this.times = new CronTimes(options.cron, options.timeZone)
  }

  get assignments$(): Observable<Assigned> {
    return soleAssignment(this.partition, (positions) => this.start(positions))
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return defer(() => {
      let isOver = false
      const begins = () => {
        isOver = this.options.overlap === 'skip'
      }
      return defer(() => from(this.due(epoch))).pipe(
        tap(begins),
        repeat({ delay: () => (epoch.room() > 0 && !isOver ? this.next() : EMPTY) }),
        takeUntil(epoch.cut$),
      )
    })
  }

  /** What is committed now has those left out that came due while it was under way. */
  positions(): readonly Position[] {
    const isUnderWay = this.options.overlap === 'skip' && this.begun.some((time) => time < this.position)
    return [{ ...this.partition, offset: (isUnderWay ? this.beyondDue() : undefined) ?? this.position }]
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = offsetOf(this.partition, positions) ?? this.position
      return EMPTY
    })
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      const offset = offsetOf(this.partition, positions) ?? 0
      const left = this.begun.filter((time) => time >= offset)
      if (left.length < this.begun.length && this.options.overlap === 'skip')
        this.passOver('came due during another run')
      this.begun = left
      return EMPTY
    })
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => {
      const isDue = this.startedAt !== undefined && this.found() !== undefined
      return of([{ ...this.partition, offset: this.position, end: this.position + (isDue ? 1 : 0) }])
    })
  }

  private start(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = offsetOf(this.partition, positions) ?? this.now() + 1
      this.startedAt ??= this.context.clock.now()
      return EMPTY
    })
  }

  private *due(epoch: Epoch): Generator<StreamRecord> {
    if (epoch.room() === 0) return
    const time = this.taken()
    if (time === undefined) return
    yield this.record(time)
    // Afterwards, for what fills the epoch also ends it.
    epoch.take(1, 0)
  }

  /** The run to begin, if one is due. */
  private taken(): number | undefined {
    const time = this.found()
    if (time === undefined) return undefined
    if (!this.begun.includes(time)) {
      if (this.isMissed(time)) return this.passOver('was missed')
      this.begun.push(time)
    }
    this.position = time + 1
    return time
  }

  /** One that was begun before, or else the last of those that are due. */
  private found(): number | undefined {
    return this.begun.find((time) => time >= this.position) ?? this.latest()
  }

  private isMissed(time: number): boolean {
    const { startedAt = 0 } = this
    const now = this.context.clock.now()
    return this.options.missed === 'skip' && (time * 1_000 < startedAt || now - time * 1_000 > lateMs)
  }

  /** Leaves out what has come due by now. */
  private passOver(why: string): undefined {
    const position = this.beyondDue()
    if (position === undefined) return
    this.position = position
    this.context.log.info(`a run is left out, the last that ${why}: ${new Date((position - 1) * 1_000).toISOString()}`)
  }

  /** The position behind what has come due by now; undefined where nothing has. */
  private beyondDue(): number | undefined {
    const last = this.latest()
    return last === undefined ? undefined : last + 1
  }

  private latest(): number | undefined {
    const last = this.times.latest(this.position * 1_000 - 1, this.context.clock.now())
    return last === undefined ? undefined : last / 1_000
  }

  /** Emits when the next run is due by what the clock shows now: it may be set anew meanwhile, and each epoch looks again. */
  private next(): Observable<unknown> {
    const { clock } = this.context
    const time = this.times.next(this.position * 1_000 - 1)
    if (time === undefined) return NEVER
    // eslint-disable-next-line no-restricted-syntax -- it is a time of the wall clock that is waited for
    return timer(Math.max(0, time - clock.now()), clock.scheduler)
  }

  private record(time: number): StreamRecord {
    const timestamp = time * 1_000
    const value: ScheduledRun = { at: new Date(timestamp).toISOString() }
    return new StreamRecord(null, value, timestamp, noHeaders, { ...this.partition, offset: time, value, timestamp })
  }

  private now(): number {
    return Math.floor(this.context.clock.now() / 1_000)
  }
}

function faultOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
