import {
  type AwaitedAgain,
  PartitionMap,
  type PartitionTold,
  type StreamTime,
  type TimeOptions,
  type TopicPartition,
} from '../model/index.js'

/** Stream time as a single stage sees it in a marble test. */
export class MarbleTime implements StreamTime {
  private readonly latest = new PartitionMap<number>()
  private outOfOrderMs = 0
  idleAfterMs = 0
  closed = Number.NEGATIVE_INFINITY
  readonly isWhole = true

  configure(options: TimeOptions): void {
    this.outOfOrderMs = options.outOfOrderMs
    this.idleAfterMs = options.idleAfterMs
  }

  outOfOrderMsOf(): number {
    return this.outOfOrderMs
  }

  observe(topic: string, partition: number, timestamp: number): number {
    const latest = this.latest.get(topic, partition) ?? Number.NEGATIVE_INFINITY
    if (timestamp > latest) this.latest.set(topic, partition, timestamp)
    return Math.max(0, latest - timestamp)
  }

  watermark(): number {
    const times = [...this.latest.values()]
    return times.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...times) - this.outOfOrderMs
  }

  watermarkOf({ topic, partition }: TopicPartition): number {
    return (this.latest.get(topic, partition) ?? Number.NEGATIVE_INFINITY) - this.outOfOrderMs
  }

  closedOf(): number {
    return this.closed
  }

  isRead(): boolean {
    return true
  }

  tells(): AwaitedAgain {
    return () => undefined
  }

  toldIdle(): boolean {
    return false
  }

  told(): readonly PartitionTold[] {
    return [...this.latest.entries()].map(([partition]) => ({
      ...partition,
      generation: 1,
      position: 0,
      before: 0,
      watermark: this.watermarkOf(partition),
      idle: false,
      movedOnMs: 0,
      total: this.latest.size,
    }))
  }

  left(): readonly PartitionTold[] {
    return []
  }

  /** A single stage hears of nobody else. */
  follow(): void {}
}
