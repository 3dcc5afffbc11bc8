import {
  type Clock,
  type PartitionEnd,
  PartitionMap,
  type PartitionProgress,
  type PartitionTold,
  type Position,
  type StreamTime,
  type TopicFacts,
  type TopicPartition,
} from '../model/index.js'
import { Inputs } from './inputs.js'

type Told = Parameters<StreamTime['follow']>[0]

const nothing: ReturnType<Told> = { watermark: Number.NEGATIVE_INFINITY, idle: false }

/** What is known of the time of one partition. */
interface PartitionTime {
  readonly generation: number
  /** The highest event time seen, ms; -Infinity before the first record. */
  streamTime: number
  /** When the last epoch ended that brought a record, or it was assigned, ms that have passed. */
  activeAt: number
  /** Whether a record came since the last epoch ended. */
  isFresh: boolean
  idle: boolean
  /** From which watermark and since when it moves on at the pace at which time passes, and until when it has, ms. */
  pace: { readonly from: number; readonly since: number; readonly until: number } | undefined
  /** The next offset to read when the last epoch ended. */
  position: number
  /** Its watermark as it was committed. */
  closed: number
  /** What others had told when the last epoch ended. How long that holds is a question of time: a commit may take longer. */
  told: ReturnType<Told>
}

/**
 * Whose watermark says that results are out: the task's, when it takes all partitions to make one, or that of each
 * partition by itself, which then moves to other tasks with it.
 */
export type TimeScope = 'task' | 'partition'

/**
 * Event time of one task. Each partition has a stream time, the highest event time seen on it, and a watermark, which
 * is that less the allowed out-of-orderness and never goes back. The watermark of the task is the minimum over the
 * partitions that are awaited.
 *
 * A partition that brought nothing for `idleAfter` and is read to its end, as its broker just confirmed, is idle: it is
 * not awaited, and its own watermark moves on at the pace of the wall clock from where it stood. When none is awaited the
 * task's watermark goes to the highest of them (as Flink's status watermark valve has it) and from there on at that pace
 * too: it never jumps to now, which would turn a replay of last year's records late.
 */
export class EventTime implements StreamTime {
  outOfOrderMs = 0
  closed = Number.NEGATIVE_INFINITY
  /** Whether all partitions of all inputs are here; undefined when that has to be found out. */
  private whole: boolean | undefined
  private idleAfterMs = 30_000
  private readonly times = new PartitionMap<PartitionTime>()
  private readonly facts = new PartitionMap<TopicFacts>()
  private others: Told | undefined
  /** When all partitions went idle: the watermark of that moment and the time it moves on from. */
  private allIdle: { watermark: number; since: number; until: number } | undefined

  constructor(
    private readonly clock: Clock,
    private readonly scope: TimeScope = 'task',
    readonly inputs = new Inputs(),
  ) {}

  configure({ outOfOrderMs, idleAfterMs }: { outOfOrderMs: number; idleAfterMs: number }): void {
    this.outOfOrderMs = outOfOrderMs
    this.idleAfterMs = idleAfterMs
  }

  follow(told: Told): void {
    this.others = told
  }

  /** An input was given partitions, of so many in all: each of them is then assigned. */
  assigned(input: number, partitions: readonly TopicPartition[], total: number): void {
    this.inputs.assigned(input, partitions, total)
    this.whole = undefined
  }

  assign(
    { topic, partition, generation = 0 }: TopicPartition & { readonly generation?: number },
    progress: PartitionProgress | undefined,
  ): void {
    const closed = progress?.watermark ?? Number.NEGATIVE_INFINITY
    this.times.set(topic, partition, {
      generation,
      streamTime: progress?.streamTime ?? Number.NEGATIVE_INFINITY,
      activeAt: this.passed(),
      isFresh: false,
      idle: false,
      pace: undefined,
      position: progress?.position ?? 0,
      closed,
      told: nothing,
    })
    this.whole = undefined
    if (this.scope === 'task') this.closed = Math.max(this.closed, closed)
    this.allIdle = undefined
  }

  /** Reading begins at these positions, which may be in topics that have taken the place of others. */
  begin(positions: readonly Position[]): void {
    for (const { topic, partition, facts } of positions) if (facts) this.facts.set(topic, partition, facts)
  }

  release(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.times.delete(topic, partition)
    this.whole = undefined
    if (this.times.size === 0) this.closed = Number.NEGATIVE_INFINITY
  }

  observe(topic: string, partition: number, timestamp: number): number {
    const time = this.times.get(topic, partition)
    if (time === undefined) return 0
    time.isFresh = true
    if (timestamp >= time.streamTime) {
      time.streamTime = timestamp
      return 0
    }
    return time.streamTime - timestamp
  }

  streamTime({ topic, partition }: TopicPartition): number | undefined {
    const streamTime = this.times.get(topic, partition)?.streamTime
    return streamTime === Number.NEGATIVE_INFINITY ? undefined : streamTime
  }

  get isWhole(): boolean {
    return (this.whole ??= this.inputs.areAll(this.partitions()))
  }

  watermark(): number {
    let awaited = Number.POSITIVE_INFINITY
    let highest = Number.NEGATIVE_INFINITY
    for (const time of this.times.values()) {
      const { watermark, idle } = this.base(time)
      highest = Math.max(highest, watermark)
      // A record that came in this epoch makes its partition awaited again, at once.
      if (!idle) awaited = Math.min(awaited, watermark)
    }
    if (awaited !== Number.POSITIVE_INFINITY) return Math.max(this.closed, awaited)
    if (this.allIdle === undefined) return Math.max(this.closed, highest)
    return Math.max(this.closed, this.allIdle.watermark + this.allIdle.until - this.allIdle.since)
  }

  watermarkOf(partition: TopicPartition): number {
    const time = this.times.get(partition.topic, partition.partition)
    if (time === undefined) return Number.NEGATIVE_INFINITY
    const { watermark, idle } = this.base(time)
    const paced = idle && time.pace !== undefined ? time.pace.until - time.pace.since : 0
    return Math.max(time.closed, watermark + paced)
  }

  closedOf(topic: string, partition: number): number {
    return this.times.get(topic, partition)?.closed ?? Number.NEGATIVE_INFINITY
  }

  told(): readonly PartitionTold[] {
    return [...this.times.entries()].map(([partition, time]) => {
      const { generation, position } = time
      const total = this.inputs.totalOf(this.inputs.of(partition.topic))
      const { before = 0, partitions } = this.facts.get(partition.topic, partition.partition) ?? {}
      return { ...partition, generation, position, before, partitions, total, ...this.base(time) }
    })
  }

  /**
   * Called when the sources of an epoch have completed, with what the brokers say of the partitions' ends. What could
   * not be asked counts as not read to its end.
   */
  advance(ends: readonly PartitionEnd[], positions: readonly Position[] = ends): void {
    const now = this.passed()
    const before = this.watermark()
    const read = new PartitionMap<boolean>()
    for (const { topic, partition, offset, end } of ends) read.set(topic, partition, offset >= end)
    for (const { topic, partition, offset } of positions) {
      const time = this.times.get(topic, partition)
      if (time !== undefined) time.position = offset
    }
    let idle = this.times.size > 0
    for (const [partition, time] of this.times.entries()) {
      time.told = this.others?.(partition) ?? nothing
      const { isFresh } = time
      this.judge(time, read.get(partition.topic, partition.partition) === true, now)
      const { watermark, idle: isIdle } = this.base(time)
      // It may have been awaited meanwhile, and have gone on from elsewhere.
      const since = time.pace?.from === watermark ? time.pace.since : now
      if (isIdle) time.pace = { from: watermark, since, until: now }
      // What is not read yet may only repeat that nothing comes.
      else if (isFresh || !time.told.idle) time.pace = undefined
      idle &&= isIdle
    }
    this.allIdle = idle ? this.moveOn(before, now) : undefined
  }

  /** The last thing of an epoch that has been committed. */
  committed(): void {
    if (this.scope === 'task' && this.isWhole) this.closed = this.watermark()
    for (const [partition, time] of this.times.entries()) time.closed = this.watermarkOf(partition)
  }

  /** What is to be committed of a partition's time. */
  progressOf(partition: TopicPartition): Omit<PartitionProgress, 'position'> {
    const ofTask = this.isWhole ? this.watermark() : this.closed
    const watermark = this.scope === 'task' ? ofTask : this.watermarkOf(partition)
    return { streamTime: this.streamTime(partition), watermark: Number.isFinite(watermark) ? watermark : undefined }
  }

  /** Up to where the results of all that is here are out; undefined before the first. */
  get reached(): number | undefined {
    const closed = [...this.times.values()].map((time) => time.closed)
    const reached = this.scope === 'task' ? this.closed : Math.min(...closed)
    return Number.isFinite(reached) ? reached : undefined
  }

  private *partitions(): Generator<TopicPartition> {
    for (const [partition] of this.times.entries()) yield partition
  }

  /** How much time has passed. A wall clock that is set must make nobody idle, and no window close. */
  private passed(): number {
    return this.clock.scheduler.now()
  }

  /** Where a partition stands by itself, and whether others need not wait for it. */
  private base(time: PartitionTime): { watermark: number; idle: boolean } {
    if (this.others === undefined)
      return { watermark: time.streamTime - this.outOfOrderMs, idle: time.idle && !time.isFresh }
    const { watermark, idle } = time.told
    return { watermark, idle: idle && time.idle }
  }

  private judge(time: PartitionTime, readToEnd: boolean, now: number): void {
    if (time.isFresh) {
      time.activeAt = now
      time.idle = false
    } else if (this.others !== undefined) {
      // They have waited for `idleAfter` already.
      time.idle = readToEnd
    } else if (now - time.activeAt >= this.idleAfterMs) {
      time.idle = readToEnd
    }
    time.isFresh = false
  }

  private moveOn(before: number, now: number): { watermark: number; since: number; until: number } {
    if (this.allIdle !== undefined) return { ...this.allIdle, until: now }
    let highest = before
    for (const time of this.times.values()) highest = Math.max(highest, this.base(time).watermark)
    return { watermark: highest, since: now, until: now }
  }
}
