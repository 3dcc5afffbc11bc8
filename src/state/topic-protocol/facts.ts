import type { Position, TopicFacts, TopicPartition } from '../../model/index.js'

/** A topic as its brokers describe it. */
export interface SeenTopic {
  /** Tells it from others of its name; undefined where the broker does not say. */
  readonly id: string | undefined
  readonly partitions: number
  /** How many it had when it was read first, where that is known. */
  readonly first?: number | undefined
}

/** A partition as its brokers describe it at the moment. */
export interface PartitionNow extends TopicPartition, SeenTopic {
  /** Undefined where no broker answered. */
  readonly start: number | undefined
  readonly end: number | undefined
}

/** A position as a group keeps it. */
export interface GroupPosition extends Position {
  /** Whether something else than Weir has set it. */
  readonly isForeign: boolean
}

const version = 1

/** What goes with an offset that is committed to a group. Who sets one by other means writes nothing of the kind. */
export function factsText(facts: TopicFacts | undefined): string {
  return JSON.stringify({ weir: version, ...facts })
}

export function groupPosition(
  { topic, partition, offset }: Position,
  metadata: string | null | undefined,
): GroupPosition {
  const text = readFacts(metadata)
  return { topic, partition, offset, facts: text?.partitions === undefined ? undefined : text, isForeign: !text }
}

function readFacts(metadata: string | null | undefined): TopicFacts | undefined {
  try {
    const { weir, ...facts } = JSON.parse(metadata ?? '') as TopicFacts & { readonly weir?: number }
    return weir === version ? facts : undefined
  } catch {
    return undefined
  }
}

export function factsOf({ id, partitions, start, end, first }: PartitionNow, before?: number): TopicFacts {
  return { id, partitions, start, end, before, first }
}

export function isAnother(one: { readonly id?: string | undefined }, other: SeenTopic): boolean {
  return one.id !== undefined && other.id !== undefined && one.id !== other.id
}
