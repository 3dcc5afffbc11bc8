import { type Origin, PartitionMap, type Position, partitionName, type TopicPartition } from '../../model/index.js'
import { InVain } from './in-vain.js'
import type { World } from './world.js'

/** The records that an engine was given and has neither committed nor given up. */
export class Holdings {
  readonly inVain = new InVain()
  private readonly parts = new PartitionMap<Set<number>>()

  constructor(
    private readonly world: World,
    /** How many records an epoch takes at the most; undefined where a sink holds more than one epoch back. */
    private readonly limit: number | undefined,
  ) {}

  emitted({ topic, partition, offset }: Origin): void {
    let part = this.parts.get(topic, partition)
    if (part === undefined) this.parts.set(topic, partition, (part = new Set()))
    part.add(offset)
    if (this.limit === undefined || this.size <= this.limit) return
    this.world.breaks(`memory is bounded by the epoch: ${this.size} records are held, an epoch takes ${this.limit}`)
  }

  /** It has to wait, and comes again. */
  heldBack({ topic, partition, offset }: Position): void {
    this.parts.get(topic, partition)?.delete(offset)
  }

  committed(positions: readonly Position[], read: readonly Position[]): void {
    // What a sink holds back has come through.
    this.inVain.committed(this.limit === undefined ? read : positions)
    for (const { topic, partition, offset } of positions) {
      const part = this.parts.get(topic, partition)
      for (const held of part ?? []) if (held < offset) part?.delete(held)
    }
  }

  /** What was read is read again, or by others. */
  forget(): void {
    this.parts.clear()
  }

  released(partitions: readonly TopicPartition[], lost: boolean): void {
    this.inVain.released(partitions)
    for (const { topic, partition } of partitions) {
      const held = this.parts.get(topic, partition)?.size ?? 0
      this.parts.delete(topic, partition)
      if (held === 0 || lost || this.limit === undefined) continue
      const where = partitionName({ topic, partition })
      this.world.breaks(
        `a partition is released after its epoch has committed: ${where} is, ${held} records before that`,
      )
    }
  }

  private get size(): number {
    let size = 0
    for (const part of this.parts.values()) size += part.size
    return size
  }
}
