import type { PartitionMap, TopicPartition } from '../model/index.js'
import type { GroupConsumer } from './consumer.js'
import type { Reading } from './silence.js'

interface Fetched {
  readonly consumer: GroupConsumer | undefined
  readonly parts: PartitionMap<Reading>
  /** Whether nothing at all is read at the moment. */
  readonly isPaused: boolean
}

/** Of which partitions the client fetches, and from where on. */
export class Fetching {
  /** Topics of which nothing is read. */
  private readonly held = new Set<string>()

  constructor(private readonly of: Fetched) {}

  pause(): void {
    this.of.consumer?.pause(this.partitions)
  }

  resume(): void {
    this.settle(this.partitions)
  }

  /** A partition that comes back the client leaves paused or not, as it was when it was given away. */
  settle(partitions: readonly TopicPartition[]): void {
    const isPaused = ({ topic }: TopicPartition) => this.of.isPaused || this.held.has(topic)
    const paused = partitions.filter(isPaused)
    const resumed = partitions.filter((partition) => !isPaused(partition))
    if (paused.length > 0) this.of.consumer?.pause(paused)
    if (resumed.length > 0) this.of.consumer?.resume(resumed)
  }

  /** Fetches nothing more of a topic, or again. */
  hold(topic: string, isHeld: boolean): void {
    if (this.held.has(topic) === isHeld) return
    if (isHeld) this.held.add(topic)
    else this.held.delete(topic)
    this.settle(this.partitions.filter((partition) => partition.topic === topic))
  }

  /** Has the client forget where it was in a partition: a position that is gone it can't leave by seeking. */
  goTo({ topic, partition, position }: Reading): void {
    this.of.consumer?.unassign([{ topic, partition }])
    this.of.consumer?.assign([{ topic, partition, offset: position }])
    this.settle([{ topic, partition }])
  }

  private get partitions(): TopicPartition[] {
    return [...this.of.parts.values()].map(({ topic, partition }) => ({ topic, partition }))
  }
}
