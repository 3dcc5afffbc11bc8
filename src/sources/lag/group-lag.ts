import type { GroupState } from '../../kafka/groups.js'

export type { GroupState } from '../../kafka/groups.js'

/** How far a consumer group is behind in a topic. */
export interface GroupLag {
  readonly group: string
  readonly topic: string
  /** Of the group: `empty` has no members, and `unknown` is what no broker told. */
  readonly state: GroupState
  /** How many records it has still to read, at most: see `partitions`. */
  readonly records: number
  /** How old the oldest of them is, s; 0 where there is none, null where nobody could tell. */
  readonly seconds: number | null
  /** By how many records it grows in a second, below 0 where it shrinks; null at first. Over the last five times. */
  readonly growth: number | null
  /** In how many seconds it will have read all, if it goes on so; null where it gets no nearer, or nobody can tell yet. */
  readonly drainSeconds: number | null
  readonly partitions: readonly PartitionLag[]
}

export interface PartitionLag {
  readonly partition: number
  /** Its position, the next offset to read; null where it has none yet. */
  readonly committed: number | null
  /** The end of what can be read: before the first transaction that is not over. */
  readonly end: number
  /** At most, for what compaction and transactions have left empty counts between records. 0 is exact. */
  readonly records: number
  readonly seconds: number | null
}
