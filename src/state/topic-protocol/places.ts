import type { Position, TopicPartition } from '../../model/index.js'

export function offsetIn(positions: readonly Position[], partition: TopicPartition): number | undefined {
  return positions.find((position) => isSame(partition, position))?.offset
}

export function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}

export function isNotIn(some: readonly TopicPartition[]): (partition: TopicPartition) => boolean {
  return (partition) => !some.some((other) => isSame(partition, other))
}
