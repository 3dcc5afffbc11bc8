import { type Position, partitionName, type TopicPartition, WeirError } from '../model/index.js'
import type { TopicAdmin } from './admin.js'
import type { GroupConsumer } from './consumer.js'
import type { ReaderOptions } from './reader-options.js'

interface From {
  readonly consumer: GroupConsumer
  readonly topics: TopicAdmin
  readonly options: ReaderOptions
}

/** Where to begin: at the given positions, else at the group's, else as the options say. */
export async function startingPoints(
  { consumer, topics, options }: From,
  partitions: readonly TopicPartition[],
  given: readonly Position[],
): Promise<readonly Position[]> {
  const placed = given.filter((position) => partitions.some((partition) => isSame(partition, position)))
  placed.push(...(await consumer.committedPositions(partitions.filter(isNotIn(placed)))))
  const fresh = partitions.filter(isNotIn(placed))
  if (fresh.length === 0) return placed
  if (options.from === undefined) throw nowhere(options, fresh)
  placed.push(...(await topics.offsets(fresh, options.from)))
  // No record is as late as that time: the end.
  placed.push(...(await topics.offsets(fresh.filter(isNotIn(placed)), 'latest')))
  const missing = partitions.filter(isNotIn(placed))
  if (missing.length > 0) throw unanswered(options, missing)
  return placed
}

function nowhere({ doing, place, group }: ReaderOptions, partitions: readonly TopicPartition[]): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `${doing}: group '${group}' has no position of ${named(partitions)}`, {
    ...place,
    hint: "Set the source's option from to 'earliest', 'latest' or a time.",
  })
}

function unanswered({ doing, place }: ReaderOptions, partitions: readonly TopicPartition[]): WeirError {
  return new WeirError('WEIR_SOURCE_UNREACHABLE', `${doing}: no broker told the offsets of ${named(partitions)}`, place)
}

const named = (partitions: readonly TopicPartition[]) => partitions.map(partitionName).join(', ')

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}

function isNotIn(some: readonly TopicPartition[]): (partition: TopicPartition) => boolean {
  return (partition) => !some.some((other) => isSame(partition, other))
}
