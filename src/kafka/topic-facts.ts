import type { Position, TopicFacts, TopicPartition } from '../model/index.js'
import type { SeenTopic } from './admin.js'

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

export function factsOf({ id, partitions, start, end }: PartitionNow, before?: number): TopicFacts {
  return { id, partitions, start, end, before }
}
