import { PartitionMap, type Position, type TopicPartition } from '../../model/index.js'

/** What was read and has failed, and has not come through yet: health has to say since when that is so. */
export class InVain {
  private readonly reached = new PartitionMap<number>()
  private failedAt: number | undefined

  /** When the first of the failures was that still count. */
  get since(): number | undefined {
    return this.reached.size === 0 ? undefined : this.failedAt
  }

  failed(now: number): void {
    if (this.since === undefined) this.failedAt = now
  }

  /** It goes back from where it was. */
  rewound(from: readonly Position[], to: readonly Position[]): void {
    const back = new PartitionMap<number>()
    for (const { topic, partition, offset } of to) back.set(topic, partition, offset)
    for (const { topic, partition, offset } of from) {
      const known = this.reached.get(topic, partition) ?? 0
      if (offset > (back.get(topic, partition) ?? offset)) this.reached.set(topic, partition, Math.max(known, offset))
    }
  }

  committed(positions: readonly Position[]): void {
    for (const { topic, partition, offset } of positions)
      if (offset >= (this.reached.get(topic, partition) ?? 0)) this.reached.delete(topic, partition)
  }

  released(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.reached.delete(topic, partition)
  }

  clear(): void {
    this.reached.clear()
  }
}
