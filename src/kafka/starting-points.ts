import { type Position, partitionName, type TopicPartition, WeirError } from '../model/index.js'
import type { SeenTopic, TopicAdmin } from './admin.js'
import type { GroupConsumer } from './consumer.js'
import type { ReaderOptions } from './reader-options.js'
import { goOn, isAnother, repartition, replace } from './topic-changes.js'
import { factsOf, type GroupPosition, type PartitionNow } from './topic-facts.js'

const againMs = 1_000

interface From {
  readonly consumer: GroupConsumer
  readonly topics: TopicAdmin
  readonly options: ReaderOptions
  /** What the topics were when this process last read them. */
  readonly remembered: ReadonlyMap<string, SeenTopic>
  /** What they were found to be while they are read. */
  readonly noticed: ReadonlyMap<string, SeenTopic>
}

export interface Beginning {
  readonly positions: readonly Position[]
  /** What the topics are. */
  readonly seen: ReadonlyMap<string, SeenTopic>
}

/**
 * Where to begin: at the given positions, else at the group's, else as the options say; a partition that was added is read
 * from its beginning. What does not fit the topic as it is now is dealt with as the options say.
 */
export async function startingPoints(
  { consumer, topics, options, remembered, noticed }: From,
  partitions: readonly TopicPartition[],
  given: readonly Position[],
): Promise<Beginning> {
  const seen = thoseThere(await topics.describe(options.topics))
  if (partitions.length === 0) return { positions: [], seen }
  const absent = partitions.filter(({ topic }) => !seen.has(topic))
  if (absent.length > 0) throw unanswered(options, absent)
  const group = await consumer.committedPositions(everyPartition(seen, partitions))
  const told = [...given, ...group]
  for (const [topic, now] of seen) {
    const last = remembered.get(topic)
    // With the topic its offsets have gone from the group: only this process knows that there was another.
    const isTold = told.some((position) => position.topic === topic && position.facts !== undefined)
    if (last !== undefined && isAnother(last, now) && !isTold) replace(topic, { id: now.id, was: last.id }, options)
    compareCounts(topic, now, { told, noticed: noticed.get(topic), options })
  }

  const kept = partitions.flatMap((partition) => chosen(partition, given, group, options) ?? [])
  const [starts, ends] = await Promise.all([
    topics.offsets(partitions, 'earliest'),
    endsOf(partitions, ofThese(kept, seen), topics),
  ])
  const nowOf = ({ topic, partition }: TopicPartition): PartitionNow => ({
    ...(seen.get(topic) ?? { id: undefined, partitions: 0 }),
    topic,
    partition,
    start: offsetIn(starts, { topic, partition }),
    end: offsetIn(ends, { topic, partition }),
  })
  const placed = kept.map((position) => goOn(position, nowOf(position), options))
  const fresh = partitions.filter(isNotIn(placed))
  const added = fresh.filter((partition) => isAdded(partition, told, seen, remembered))
  const begun = [
    ...starts.filter((start) => added.some((partition) => isSame(partition, start))),
    ...(await asTold(fresh.filter(isNotIn(added)), { starts, ends }, topics, options)),
  ]
  placed.push(...begun.map((position) => ({ ...position, facts: factsOf(nowOf(position)) })))
  const missing = partitions.filter(isNotIn(placed))
  if (missing.length > 0) throw unanswered(options, missing)
  return { positions: placed, seen }
}

/** A new leader may take a moment to know how far it reaches: an end that lies before a position is asked for again. */
async function endsOf(
  partitions: readonly TopicPartition[],
  kept: readonly Position[],
  topics: TopicAdmin,
): Promise<readonly Position[]> {
  const ends = await topics.offsets(partitions, 'latest')
  const isBeyond = (position: Position) => position.offset > (offsetIn(ends, position) ?? Number.POSITIVE_INFINITY)
  if (!kept.some(isBeyond)) return ends
  await new Promise((resolve) => setTimeout(resolve, againMs))
  return topics.offsets(partitions, 'latest')
}

/** Where to begin on partitions that nobody has a position of. */
async function asTold(
  fresh: readonly TopicPartition[],
  { starts, ends }: { readonly starts: readonly Position[]; readonly ends: readonly Position[] },
  topics: TopicAdmin,
  options: ReaderOptions,
): Promise<readonly Position[]> {
  const { from } = options
  if (fresh.length === 0) return []
  if (from === undefined) throw nowhere(options, fresh)
  const isFresh = (position: Position) => fresh.some((partition) => isSame(partition, position))
  if (from === 'earliest') return starts.filter(isFresh)
  if (from === 'latest') return ends.filter(isFresh)
  const since = [...(await topics.offsets(fresh, from))]
  // No record is as late as that time: the end.
  return [...since, ...ends.filter(isFresh).filter(isNotIn(since))]
}

/** The position that is kept of a partition. The group's only mirrors a given one, unless somebody has set it. */
function chosen(
  partition: TopicPartition,
  given: readonly Position[],
  group: readonly GroupPosition[],
  options: ReaderOptions,
): Position | undefined {
  const own = given.find((position) => isSame(partition, position))
  const groups = group.find((position) => isSame(partition, position))
  const isReset = own?.facts !== undefined && groups !== undefined && groups.isForeign && groups.offset !== own.offset
  if (!isReset || options.isInternal) return own ?? groups
  const { topic } = partition
  const isHonoured = options.keeps === 'nothing'
  options.noticed?.({ topic, change: 'reset' })
  options.log.warn(
    { topic, partition: partition.partition, group: groups.offset, position: own.offset },
    `${options.doing}: the offset of group '${options.group}' was set to ${groups.offset} by other means, and ${partitionName(partition)} was read up to ${own.offset}: ${
      isHonoured ? 'it goes on where the group says' : 'it goes on where its state is; weir state set-position moves it'
    }`,
  )
  return isHonoured ? { ...own, offset: groups.offset } : own
}

function compareCounts(
  topic: string,
  now: SeenTopic,
  { told, noticed, options }: Pick<From, 'options'> & { told: readonly Position[]; noticed: SeenTopic | undefined },
): void {
  const facts = told.flatMap((position) => (position.topic === topic ? (position.facts ?? []) : []))
  const kept = facts.map(({ partitions }) => partitions)
  const counts = [...kept, ...(noticed === undefined ? [] : [noticed.partitions])]
  const isNews = noticed?.partitions !== now.partitions
  // Who has gone on with more of them has committed that with the first position.
  const isKnown = counts.length === 0 || kept.includes(now.partitions) || (kept.length === 0 && !isNews)
  const was = Math.max(...counts)
  // A broker may not have heard of it yet; fewer has only a topic that was made anew.
  const isLess = now.partitions < was && !facts.some((one) => isAnother(one, now))
  if (!isKnown && !isLess) repartition(topic, was, now.partitions, options, isNews)
}

/** Whether a partition without a position came to be after others were read. */
function isAdded(
  { topic, partition }: TopicPartition,
  told: readonly Position[],
  seen: ReadonlyMap<string, SeenTopic>,
  remembered: ReadonlyMap<string, SeenTopic>,
): boolean {
  const now = seen.get(topic)
  const others = told.filter((position) => position.topic === topic)
  const facts = others.flatMap((position) => position.facts ?? [])
  const known = [...facts, ...[remembered.get(topic) ?? []].flat()]
  if (known.length === 0) return others.length > 0 && others.every((position) => position.partition < partition)
  if (now !== undefined && known.every((one) => isAnother(one, now))) return true
  return known.every(({ partitions }) => partition >= partitions)
}

/** The positions that are in the topics that there are, and not in others of their names. */
function ofThese(kept: readonly Position[], seen: ReadonlyMap<string, SeenTopic>): readonly Position[] {
  return kept.filter(({ topic, facts }) => facts === undefined || !isAnother(facts, seen.get(topic) as SeenTopic))
}

function thoseThere(described: ReadonlyMap<string, SeenTopic | undefined>): Map<string, SeenTopic> {
  return new Map([...described].flatMap(([topic, now]) => (now === undefined ? [] : [[topic, now] as const])))
}

function everyPartition(
  seen: ReadonlyMap<string, SeenTopic>,
  asked: readonly TopicPartition[],
): readonly TopicPartition[] {
  const all = [...seen].flatMap(([topic, { partitions }]) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  )
  return [...all, ...asked.filter(isNotIn(all))]
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

function offsetIn(positions: readonly Position[], partition: TopicPartition): number | undefined {
  return positions.find((position) => isSame(partition, position))?.offset
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}

function isNotIn(some: readonly TopicPartition[]): (partition: TopicPartition) => boolean {
  return (partition) => !some.some((other) => isSame(partition, other))
}
