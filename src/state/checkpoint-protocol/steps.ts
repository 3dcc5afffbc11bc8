import type {
  AcquiredPartition,
  EpochCommit,
  Position,
  StoredChunk,
  TopicPartition,
  WeirError,
} from '../../model/index.js'
import type { NewEntry, ReadEntry } from './entry.js'

/** What has happened. A log is named by the source partition that it is of, in events and commands alike. */
export type Event =
  /** Somebody asks for something. The token is one that nobody else has. */
  | { readonly on: 'acquire'; readonly partitions: readonly TopicPartition[]; readonly token: string }
  | { readonly on: 'release'; readonly partitions: readonly TopicPartition[] }
  | { readonly on: 'commit'; readonly commit: EpochCommit }
  /** What was commanded is done. */
  | { readonly on: 'prepared' | 'renewed' | 'fenced' | 'written' | 'committed' }
  | Bounded
  | Read
  | { readonly on: 'given'; readonly isWanted: boolean }
  /** What was commanded failed, and nobody knows what became of it. */
  | { readonly on: 'failed'; readonly error: WeirError }
  /** The producer of the transactions is of no more use. */
  | { readonly on: 'lost'; readonly error: WeirError }

/** Where logs begin and end. */
export interface Bounded {
  readonly on: 'bounded'
  readonly bounds: readonly Bounds[]
}

export interface Bounds extends TopicPartition {
  readonly start: number
  readonly end: number
}

/** Entries that are committed, each log's in order, and whether each log has been read to its end since the `seek`. */
export interface Read {
  readonly on: 'read'
  readonly entries: readonly ReadEntry[]
  readonly hasEnded: boolean
}

/** What is to be done next, and by which event that is answered. */
export type Command =
  /** Makes the logs that are missing. → prepared */
  | { readonly do: 'prepare'; readonly partitions: readonly TopicPartition[] }
  /** Makes the producer of the transactions anew under its id, which aborts what it has open. → renewed */
  | { readonly do: 'renew' }
  | Search
  /** Refuses the producers of these ids from now on, and aborts what they have open. → fenced */
  | { readonly do: 'fence'; readonly owners: readonly string[] }
  /** Writes entries outside of all transactions. → written */
  | { readonly do: 'write'; readonly entries: readonly NewEntry[] }
  /** Writes entries in the transaction of the epoch, and commits it. → committed */
  | { readonly do: 'commit'; readonly entries: readonly NewEntry[] }
  /** Hands out chunks. → given */
  | { readonly do: 'give'; readonly chunks: readonly StoredChunk[] }
  /** That is all, and this the answer to who asked. */
  | { readonly do: 'answer'; readonly acquired: readonly AcquiredPartition[] }
  | { readonly do: 'refuse'; readonly error: WeirError }

export type Search =
  /** Asks where logs begin and end. → bounded */
  | { readonly do: 'bound'; readonly partitions: readonly TopicPartition[] }
  /** Reads logs, only what is committed, from these positions on. → read */
  | { readonly do: 'seek'; readonly positions: readonly Position[] }
  /** Reads on. → read */
  | { readonly do: 'read' }

/** What the machines have in common: the next command after each event. */
export interface Machine {
  handle(event: Event): Command
}

export function unexpected(state: string, event: { readonly on: string }): Error {
  return new Error(`checkpoints: '${event.on}' can't happen while ${state}`)
}
