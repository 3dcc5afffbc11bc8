import {
  type Clock,
  type PartitionEnd,
  PartitionMap,
  type PartitionProgress,
  type StreamTime,
  type TopicPartition,
} from '../model/index.js'

/** What is known of the time of one partition. */
interface PartitionTime {
  /** The highest event time seen, ms; -Infinity before the first record. */
  streamTime: number
  /** Wall-clock time of the last epoch that brought a record, or of the assignment, ms. */
  activeAt: number
  /** The highest `streamTime` that an epoch has ended with: it tells whether a record came since. */
  seenRecords: number
  endedRecords: number
  idle: boolean
}

/**
 * Event time of one task. Each partition has a stream time, the highest event time seen on it; the watermark is the
 * minimum of them over the partitions that are awaited, less the allowed out-of-orderness, and never goes back.
 *
 * A partition that brought nothing for `idleAfter` and is read to its end, as its broker just confirmed, is not
 * awaited. When none is awaited the watermark goes to the highest stream time (as Flink's status watermark valve has
 * it) and from there on at the pace of the wall clock: it never jumps to now, which would turn a replay of last
 * year's records late.
 */
export class EventTime implements StreamTime {
  outOfOrderMs = 0
  closed = Number.NEGATIVE_INFINITY
  private idleAfterMs = 30_000
  private readonly times = new PartitionMap<PartitionTime>()
  /** When all partitions went idle: the watermark of that moment and the wall-clock time it moves on from. */
  private allIdle: { watermark: number; since: number; until: number } | undefined

  constructor(private readonly clock: Clock) {}

  configure({ outOfOrderMs, idleAfterMs }: { outOfOrderMs: number; idleAfterMs: number }): void {
    this.outOfOrderMs = outOfOrderMs
    this.idleAfterMs = idleAfterMs
  }

  assign({ topic, partition }: TopicPartition, progress: PartitionProgress | undefined): void {
    this.times.set(topic, partition, {
      streamTime: progress?.streamTime ?? Number.NEGATIVE_INFINITY,
      activeAt: this.clock.now(),
      seenRecords: 0,
      endedRecords: 0,
      idle: false,
    })
    this.closed = Math.max(this.closed, progress?.watermark ?? Number.NEGATIVE_INFINITY)
    this.allIdle = undefined
  }

  release(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.times.delete(topic, partition)
    if (this.times.size === 0) this.closed = Number.NEGATIVE_INFINITY
  }

  observe(topic: string, partition: number, timestamp: number): number {
    const time = this.times.get(topic, partition)
    if (time === undefined) return 0
    time.seenRecords++
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

  watermark(): number {
    let awaited = Number.POSITIVE_INFINITY
    let highest = Number.NEGATIVE_INFINITY
    for (const time of this.times.values()) {
      highest = Math.max(highest, time.streamTime)
      // A record that came in this epoch makes its partition awaited again, at once.
      if (!time.idle || time.seenRecords > time.endedRecords) awaited = Math.min(awaited, time.streamTime)
    }
    if (awaited !== Number.POSITIVE_INFINITY) return Math.max(this.closed, awaited - this.outOfOrderMs)
    if (this.allIdle === undefined) return Math.max(this.closed, highest - this.outOfOrderMs)
    return Math.max(this.closed, this.allIdle.watermark + this.allIdle.until - this.allIdle.since)
  }

  /**
   * Called when the sources of an epoch have completed, with what the brokers say of the partitions' ends. What could
   * not be asked counts as not read to its end.
   */
  advance(ends: readonly PartitionEnd[]): void {
    const now = this.clock.now()
    const before = this.watermark()
    const read = new PartitionMap<boolean>()
    for (const { topic, partition, offset, end } of ends) read.set(topic, partition, offset >= end)
    let idle = this.times.size > 0
    for (const [{ topic, partition }, time] of this.times.entries()) {
      this.judge(time, read.get(topic, partition) === true, now)
      idle &&= time.idle
    }
    this.allIdle = idle ? this.moveOn(before, now) : undefined
  }

  /** The last thing of an epoch that has been committed. */
  committed(watermark: number): void {
    this.closed = watermark
  }

  private judge(time: PartitionTime, readToEnd: boolean, now: number): void {
    if (time.seenRecords > time.endedRecords) {
      time.activeAt = now
      time.idle = false
    } else if (now - time.activeAt >= this.idleAfterMs) {
      time.idle = readToEnd
    }
    time.endedRecords = time.seenRecords
  }

  private moveOn(before: number, now: number): { watermark: number; since: number; until: number } {
    if (this.allIdle !== undefined) return { ...this.allIdle, until: now }
    let highest = before
    for (const time of this.times.values()) highest = Math.max(highest, time.streamTime - this.outOfOrderMs)
    return { watermark: highest, since: now, until: now }
  }
}
