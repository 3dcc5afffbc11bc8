import { PartitionMap, type StreamTime } from '../model/index.js'

/** Stream time as a single stage sees it in a marble test. */
export class MarbleTime implements StreamTime {
  private readonly latest = new PartitionMap<number>()
  outOfOrderMs = 0
  idleAfterMs = 0
  closed = Number.NEGATIVE_INFINITY

  configure(options: { outOfOrderMs: number; idleAfterMs: number }): void {
    this.outOfOrderMs = options.outOfOrderMs
    this.idleAfterMs = options.idleAfterMs
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
}
