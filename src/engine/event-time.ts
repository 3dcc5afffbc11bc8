import {
  type AcquiredPartition,
  type AwaitedAgain,
  type Clock,
  type PartitionEnd,
  PartitionMap,
  type PartitionProgress,
  type PartitionTold,
  type Position,
  type StreamTime,
  type TimeOptions,
  type TopicFacts,
  type TopicPartition,
} from '../model/index.js'
import { InputTime } from './input-time.js'
import { Inputs } from './inputs.js'

/** What the stages of an input have said of its time. */
interface Settings extends TimeOptions {
  /** Partitions go by what other tasks told, where there are such. */
  readonly others: Follow | undefined
}

type Follow = Parameters<StreamTime['follow']>[0]
type Told = ReturnType<Follow>

const never = Number.NEGATIVE_INFINITY
const nothing: Told = { watermark: never, idle: false, timeSets: 0 }

/** What is known of the time of one partition. */
interface PartitionTime {
  readonly input: number
  readonly generation: number
  /** The highest event time seen, ms; -Infinity before the first record. */
  streamTime: number
  /** When the last epoch ended that brought a record, or it was assigned, ms that have passed. */
  activeAt: number
  /** Whether a record came since the last epoch ended. */
  isFresh: boolean
  idle: boolean
  /** Whether it may be told to be idle, and to have moved on: from the commit after. That ends with a commit too. */
  toldIdle: 'no' | 'soon' | 'yes' | 'over'
  /** Up to where each of those who are told may have closed windows without it, of those who are known to await it again. */
  readonly missed: Map<AwaitedAgain, number>
  /** Whether it was read to its end when the last epoch ended. */
  isRead: boolean
  /** By how much its watermark had moved on when it began to do so in this life, and from when to when it has since, ms. */
  pace: { readonly before: number; readonly since: number; readonly until: number } | undefined
  /** By how much it had moved on when that was last committed, ms. */
  keptMs: number
  /** The next offset to read when the last epoch ended. */
  position: number
  /** Its watermark as it was committed. */
  closed: number
  /** What others had told when the last epoch ended. How long that holds is a question of time: a commit may take longer. */
  told: Told
  /** How often time was set back. */
  readonly timeSets: number
}

/**
 * Whose watermark says that results are out: the task's, when it takes all partitions to make one, or that of each
 * partition by itself, which then moves to other tasks with it.
 */
export type TimeScope = 'task' | 'partition'

/** What idle partitions have moved on by is committed in steps of a twentieth of it, within these limits, ms. */
const [leastStepMs, mostStepMs] = [1_000, 10_000]

/**
 * Event time of one task. Each partition has a stream time, the highest event time seen on it, and a watermark, which
 * is that less the allowed out-of-orderness of its input. The watermark of the task is the minimum over the partitions
 * that are awaited, and never goes back; nothing is known of it before each input has had its first assignment.
 *
 * A partition that brought nothing for `idleAfter` and is read to its end, as its broker just confirmed, is idle: it is
 * not awaited, and its own watermark moves on at the pace at which time passes from where it stood: it never jumps to now,
 * which would turn a replay of last year's records late. When none is awaited the task's watermark is the minimum of
 * these, so that none of them loses what it brings next; a partition that never brought anything has no say
 * (docs/adr/0015).
 */
export class EventTime implements StreamTime {
  closed = never
  private readonly settings: Settings[]
  private readonly scopes: readonly TimeScope[]
  private readonly times = new PartitionMap<PartitionTime>()
  /** Whether all partitions of all inputs are here; undefined when that has to be found out. */
  private whole: boolean | undefined
  private isOld = false
  private readonly facts = new PartitionMap<TopicFacts>()
  private readonly leftovers = new PartitionMap<Omit<PartitionTold, keyof TopicPartition>>()
  private tellers = 0

  constructor(
    private readonly clock: Clock,
    /** Of all inputs, or of each. */
    scope: TimeScope | readonly TimeScope[] = 'task',
    readonly inputs = new Inputs(),
  ) {
    const each = Array.from({ length: inputs.count }, (_, input) => input)
    this.scopes = each.map((input) => (typeof scope === 'string' ? scope : (scope[input] ?? 'task')))
    this.settings = each.map(() => ({ outOfOrderMs: 0, idleAfterMs: 30_000, movesOn: true, others: undefined }))
  }

  /** As the stages on the way of one input have it: what they say of time holds for that input alone. */
  ofInput(input: number): StreamTime {
    return this.inputs.count === 1 ? this : new InputTime(this, input)
  }

  configure(options: TimeOptions, only?: number): void {
    for (const input of this.chosen(only)) this.settings[input] = { ...this.of(input), ...options }
  }

  follow(others: Follow, only?: number): void {
    for (const input of this.chosen(only)) this.settings[input] = { ...this.of(input), others }
  }

  outOfOrderMsOf(topic: string): number {
    return this.of(this.settings.length === 1 ? 0 : this.inputs.of(topic)).outOfOrderMs
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
    const input = this.inputs.of(topic)
    const closed = progress?.watermark ?? never
    const before = progress?.movedOnMs ?? 0
    const now = this.passed()
    this.times.set(topic, partition, {
      input,
      generation,
      streamTime: progress?.streamTime ?? never,
      activeAt: now,
      isFresh: false,
      idle: false,
      isRead: false,
      pace: before > 0 ? { before, since: now, until: now } : undefined,
      keptMs: before,
      toldIdle: this.isMissed(progress) ? 'yes' : 'no',
      missed: new Map(),
      position: progress?.position ?? 0,
      closed,
      told: nothing,
      timeSets: progress?.timeSets ?? 0,
    })
    this.whole = undefined
    const together = this.scopes[input] === 'task' ? closed : (progress?.together ?? never)
    this.closed = Math.max(this.closed, together)
  }

  /** Something is kept of the task: partitions of which nothing is are new to it, and windows have closed without them. */
  goesOn(): void {
    this.isOld = true
  }

  /** Whether windows may have closed that did not wait for a partition: it was told to be idle, not read for some time, or never. */
  private isMissed(progress: PartitionProgress | undefined): boolean {
    return progress === undefined ? this.isOld : progress.toldIdle === true || progress.sentOnFor !== undefined
  }

  /** Reading begins at these positions, which may be in topics that have taken the place of others. */
  begin(positions: readonly Position[]): void {
    for (const { topic, partition, offset, facts } of positions) {
      const time = this.times.get(topic, partition)
      // What is told of another topic goes by its own offsets.
      if (time !== undefined) time.position = offset
      if (facts === undefined) continue
      this.facts.set(topic, partition, facts)
      // Windows have closed that did not wait for it, as for one that is idle.
      if (time !== undefined && partition >= (facts.first ?? facts.partitions)) time.toldIdle = 'yes'
    }
  }

  /** Takes over what is left of a partition that its topic no longer has, or of which nothing is read: nothing comes of it any more. */
  inherit({ topic, partition, generation, progress }: AcquiredPartition, isForgotten: boolean): void {
    const { position = 0, facts, timeSets } = progress ?? {}
    const idle = { watermark: never, idle: true, movedOnMs: 0 }
    const place = { generation, id: facts?.id, before: facts?.before ?? 0, position, total: 0 }
    this.leftovers.set(topic, partition, { ...place, ...idle, timeSets, isForgotten })
  }

  left(): readonly PartitionTold[] {
    return [...this.leftovers.entries()].map(([partition, left]) => ({ ...partition, ...left }))
  }

  release(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      this.times.delete(topic, partition)
      this.leftovers.delete(topic, partition)
    }
    this.whole = undefined
    if (this.times.size === 0) this.closed = never
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
    return streamTime === never ? undefined : streamTime
  }

  get isWhole(): boolean {
    return (this.whole ??= this.inputs.areAll(this.partitions()))
  }

  watermark(): number {
    // An input that may still get partitions has to be waited for, whatever the others have brought.
    return this.inputs.areKnown || this.inputs.count === 1 ? Math.max(this.closed, this.lowest()) : this.closed
  }

  watermarkOf(partition: TopicPartition): number {
    const time = this.times.get(partition.topic, partition.partition)
    return time === undefined ? never : Math.max(time.closed, this.standing(time))
  }

  closedOf(topic: string, partition: number): number {
    return this.times.get(topic, partition)?.closed ?? never
  }

  isRead(topic: string, partition: number): boolean {
    return this.times.get(topic, partition)?.isRead === true
  }

  tells(): AwaitedAgain {
    this.tellers++
    const awaited: AwaitedAgain = ({ topic, partition, generation }, closed) => {
      const time = this.times.get(topic, partition)
      if (time?.generation === generation) time.missed.set(awaited, closed)
    }
    return awaited
  }

  toldIdle(topic: string, partition: number): boolean {
    const told = this.times.get(topic, partition)?.toldIdle
    return told === 'yes' || told === 'over'
  }

  /** Whether something is to be committed before it is told. */
  get hasNews(): boolean {
    return (
      this.tellers > 0 && [...this.times.values()].some(({ toldIdle }) => toldIdle === 'soon' || toldIdle === 'over')
    )
  }

  told(): readonly PartitionTold[] {
    const gone = [...this.leftovers.entries(), ...this.times.entries()]
      .map(([at]) => at)
      .filter((at) => this.isGone(at))
    return [...this.times.entries()].map(([partition, time]) => {
      const { generation, position, input, timeSets } = time
      // As long as there is something left to be sent, it has to be waited for.
      const left = gone.filter(({ topic }) => topic === partition.topic).length
      const total = this.inputs.totalOf(input) + left
      const facts = this.facts.get(partition.topic, partition.partition)
      const { before = 0, id } = facts ?? {}
      const partitions = partition.partition === 0 && left === 0 ? facts?.partitions : undefined
      const isTold = time.toldIdle === 'yes'
      const [watermark, idle] = [this.base(time), isTold && this.isIdle(time)]
      const movedOnMs = isTold ? movedOn(time) : 0
      const place = { generation, position, id, before, partitions, total }
      return { ...partition, ...place, watermark, idle, movedOnMs, timeSets }
    })
  }

  /**
   * Called when the sources of an epoch have completed, with what the brokers say of the partitions' ends. What could
   * not be asked counts as not read to its end.
   */
  advance(ends: readonly PartitionEnd[], positions: readonly Position[] = ends): void {
    const now = this.passed()
    const read = new PartitionMap<boolean>()
    for (const { topic, partition, offset, end } of ends) read.set(topic, partition, offset >= end)
    for (const { topic, partition, offset } of positions) {
      const time = this.times.get(topic, partition)
      if (time !== undefined) time.position = offset
    }
    for (const [partition, time] of this.times.entries()) {
      const told = this.of(time.input).others?.(partition) ?? nothing
      time.told = (told.timeSets ?? 0) < time.timeSets ? nothing : told
      time.isRead = read.get(partition.topic, partition.partition) === true
      this.judge(time, now)
      this.judgeTold(time)
    }
  }

  /** The last thing of an epoch that has been committed; `isKept` is whether there was anything to commit. */
  committed(isKept = true): void {
    if (this.isWhole) this.closed = this.watermark()
    for (const [partition, time] of this.times.entries()) {
      time.closed = this.watermarkOf(partition)
      if (time.toldIdle === 'soon') time.toldIdle = 'yes'
      if (time.toldIdle === 'over') time.toldIdle = 'no'
      if (isKept) time.keptMs = movedOn(time)
    }
  }

  /**
   * Whether idle partitions have moved on by so much since the last commit that it should be kept; before the partitions
   * are given up, by anything at all.
   */
  hasMovedOn(isLast: boolean): boolean {
    for (const time of this.times.values()) {
      const moved = movedOn(time)
      const step = isLast ? 1 : Math.min(Math.max(moved / 20, leastStepMs), mostStepMs)
      if (moved - time.keptMs >= step) return true
    }
    return false
  }

  /** What is to be committed of a partition's time. */
  progressOf(partition: TopicPartition): Omit<PartitionProgress, 'position'> {
    const time = this.times.get(partition.topic, partition.partition)
    const watermark = time === undefined ? never : this.final(partition, time)
    const movedOnMs = time === undefined ? 0 : movedOn(time)
    const together = time === undefined ? never : this.together(time)
    return {
      streamTime: this.streamTime(partition),
      watermark: Number.isFinite(watermark) ? watermark : undefined,
      ...(movedOnMs > 0 ? { movedOnMs } : {}),
      ...(Number.isFinite(together) ? { together } : {}),
      ...(this.tellers > 0 && (time?.toldIdle === 'soon' || time?.toldIdle === 'yes') ? { toldIdle: true } : {}),
      ...(time !== undefined && time.timeSets > 0 ? { timeSets: time.timeSets } : {}),
    }
  }

  /** Up to where the results of all that is here are out; undefined before the first. */
  get reached(): number | undefined {
    const closed = [...this.times.values()].map((time) =>
      this.scopes[time.input] === 'task' ? this.closed : time.closed,
    )
    const reached = Math.min(...closed)
    return Number.isFinite(reached) ? reached : undefined
  }

  /** Up to where the results that a partition has a part in are final. */
  private final(partition: TopicPartition, { input }: PartitionTime): number {
    if (this.scopes[input] === 'partition') return this.watermarkOf(partition)
    return this.common()
  }

  /** Up to where results are final that all partitions have a part in, where each has results of its own besides. */
  private together({ input }: PartitionTime): number {
    // Behind an internal topic all records of a group are in one partition.
    return this.scopes[input] === 'task' || this.of(input).others !== undefined ? never : this.common()
  }

  /** Up to where the results are final that all partitions have a part in. */
  private common(): number {
    return this.isWhole ? this.watermark() : this.closed
  }

  /** The minimum over the partitions that are awaited, or where none is, over all that ever brought anything. */
  private lowest(): number {
    let awaited = Number.POSITIVE_INFINITY
    let idle = Number.POSITIVE_INFINITY
    // Who was given a partition that was idle does not know yet whether it still is, and then it is not what the others go by.
    let mayRest = true
    for (const time of this.times.values()) {
      const standing = this.standing(time)
      if (!this.isIdle(time)) {
        awaited = Math.min(awaited, standing)
        mayRest &&= movedOn(time) > 0
      } else if (standing !== never) idle = Math.min(idle, standing)
    }
    if (awaited !== Number.POSITIVE_INFINITY) return mayRest ? Math.min(awaited, idle) : awaited
    return idle === Number.POSITIVE_INFINITY ? never : idle
  }

  /** Where a partition stands by itself. */
  private standing(time: PartitionTime): number {
    return this.base(time) + movedOn(time)
  }

  /** Where its records, or what others told of it, have brought it. */
  private base(time: PartitionTime): number {
    const { others, outOfOrderMs } = this.of(time.input)
    return others === undefined ? time.streamTime - outOfOrderMs : time.told.watermark
  }

  /** Whether others need not wait for it. A record that came in this epoch makes it awaited again, at once. */
  private isIdle(time: PartitionTime): boolean {
    return this.of(time.input).others === undefined ? time.idle && !time.isFresh : time.told.idle && time.idle
  }

  private judge(time: PartitionTime, now: number): void {
    const { others, idleAfterMs, movesOn } = this.of(time.input)
    const { isFresh, isRead } = time
    time.isFresh = false
    if (others !== undefined) {
      // They have waited for `idleAfter` already, and have moved on what is idle.
      time.idle = isRead
      return
    }
    if (isFresh) {
      time.activeAt = now
      time.idle = false
      time.pace = undefined
      return
    }
    const wasIdle = time.idle
    if (now - time.activeAt >= idleAfterMs) time.idle = isRead
    if (!time.idle || !movesOn || time.streamTime === never) return
    const { before, since } = wasIdle && time.pace !== undefined ? time.pace : { before: movedOn(time), since: now }
    time.pace = { before, since, until: now }
  }

  /**
   * What was told ends when its records can't be too late elsewhere and in time here: when all who were told await it again,
   * and it has itself come to where they may have closed windows without it.
   */
  private judgeTold(time: PartitionTime): void {
    if (this.isIdle(time)) {
      time.missed.clear()
      if (time.toldIdle === 'no') time.toldIdle = 'soon'
    } else if (time.toldIdle === 'yes' && time.missed.size === this.tellers) {
      if (this.base(time) >= Math.max(never, ...time.missed.values())) time.toldIdle = 'over'
    }
  }

  /** Whether its topic, of which the first partition is here, no longer has it. */
  private isGone({ topic, partition }: TopicPartition): boolean {
    if (this.leftovers.get(topic, partition) !== undefined) return true
    const first = this.times.get(topic, 0) && this.facts.get(topic, 0)
    return first !== undefined && partition >= first.partitions && this.facts.get(topic, partition)?.id !== first.id
  }

  private of(input: number): Settings {
    return this.settings[input] as Settings
  }

  private chosen(only: number | undefined): Iterable<number> {
    return only === undefined ? this.settings.keys() : [only]
  }

  private *partitions(): Generator<TopicPartition> {
    for (const [partition] of this.times.entries()) yield partition
  }

  /** How much time has passed. A wall clock that is set must make nobody idle, and no window close. */
  private passed(): number {
    return this.clock.scheduler.now()
  }
}

/** By how much its watermark is ahead of its records because none come, ms. */
function movedOn({ isFresh, pace }: PartitionTime): number {
  return pace === undefined || isFresh ? 0 : pace.before + pace.until - pace.since
}
