/** One partition of one source topic. Sources without partitions have a single one, numbered 0. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

export function isSamePartition(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}

/** Orders names of partitions by topic and number. */
export function byPartition(one: string, other: string): number {
  if (one === other) return 0
  const [dash, otherDash] = [one.lastIndexOf('-'), other.lastIndexOf('-')]
  const [topic, otherTopic] = [one.slice(0, dash), other.slice(0, otherDash)]
  if (topic !== otherTopic) return topic < otherTopic ? -1 : 1
  return Number(one.slice(dash + 1)) - Number(other.slice(otherDash + 1))
}

/**
 * A map from topic partitions that costs one comparison for each look-up while the topic stays the same,
 * as it does for nearly every record. Its entries come by topic and number, in whatever order they were put there.
 */
export class PartitionMap<T> {
  private readonly topics = new Map<string, (T | undefined)[]>()
  private count = 0
  private lastTopic: string | undefined
  private lastRow: (T | undefined)[] = []

  get(topic: string, partition: number): T | undefined {
    return this.row(topic)[partition]
  }

  set(topic: string, partition: number, value: T): void {
    const row = this.row(topic)
    if (row[partition] === undefined) this.count++
    row[partition] = value
  }

  delete(topic: string, partition: number): void {
    const row = this.row(topic)
    if (row[partition] !== undefined) this.count--
    row[partition] = undefined
  }

  clear(): void {
    this.topics.clear()
    this.count = 0
    this.lastTopic = undefined
    this.lastRow = []
  }

  *entries(): Generator<[TopicPartition, T]> {
    for (const [topic, row] of this.topics) {
      for (const [partition, value] of row.entries()) {
        if (value !== undefined) yield [{ topic, partition }, value]
      }
    }
  }

  *values(): Generator<T> {
    for (const row of this.topics.values()) for (const value of row) if (value !== undefined) yield value
  }

  get size(): number {
    return this.count
  }

  private row(topic: string): (T | undefined)[] {
    if (topic === this.lastTopic) return this.lastRow
    let row = this.topics.get(topic)
    if (row === undefined) {
      row = []
      const rows = [...this.topics, [topic, row] as const].sort(([one], [other]) => (one < other ? -1 : 1))
      this.topics.clear()
      for (const [name, its] of rows) this.topics.set(name, its)
    }
    this.lastTopic = topic
    this.lastRow = row
    return row
  }
}
