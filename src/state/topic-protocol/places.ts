import { isSamePartition, type Position, type TopicPartition } from '../../model/index.js'

export function offsetIn(positions: readonly Position[], partition: TopicPartition): number | undefined {
  return positions.find((position) => isSamePartition(partition, position))?.offset
}

export function isNotIn(some: readonly TopicPartition[]): (partition: TopicPartition) => boolean {
  return (partition) => !some.some((other) => isSamePartition(partition, other))
}
