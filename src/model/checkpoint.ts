import type { Observable } from 'rxjs'
import { WeirError } from './errors.js'
import { partitionName, type TopicPartition } from './partition.js'
import type { TopicFacts } from './source.js'

/** What is known of a source partition besides its stores. All of it is JSON, and every store keeps fields that it doesn't know. */
export interface PartitionProgress {
  /** The next offset to read. */
  readonly position: number
  /** The highest event time seen, ms; undefined before the first record. */
  readonly streamTime?: number | undefined
  /** Up to where results were final when this was committed, ms. */
  readonly watermark?: number | undefined
  /** What the topic was then. */
  readonly facts?: TopicFacts | undefined
  /** By how much the partition's own watermark has moved on while it was idle, ms; absent where it has not. */
  readonly movedOnMs?: number | undefined
  /** Whether other tasks may have been told that it is idle, and have gone on without it. */
  readonly toldIdle?: boolean | undefined
  /** Up to where results were told that all partitions have a part in, ms, where each has results of its own besides. */
  readonly together?: number | undefined
  /**
   * Where all that was left of it has been sent on: the id of a topic that does not have the partition any more, or that nobody
   * reads its topic.
   */
  readonly sentOnFor?: string | undefined
  /** How often somebody has set the time of the flow back: what was told before the last time no longer holds. */
  readonly timeSets?: number | undefined
}

export interface PartitionCommit extends TopicPartition {
  /** The generation that `acquire` gave; an older one is refused. */
  readonly generation: number
  readonly progress: PartitionProgress
  /** Numbers the chunks of a partition, counting up; given even when there is no chunk. */
  readonly sequence: number
  /** What the epoch changed in the stores, packed; empty when nothing did. */
  readonly chunks: readonly Uint8Array[]
  /** All chunks of a lower sequence are obsolete. */
  readonly truncateBefore?: number | undefined
}

export interface EpochCommit {
  /** `<app>.<flow>`, and the sub-topology where there are several. */
  readonly task: string
  readonly partitions: readonly PartitionCommit[]
}

export interface AcquiredPartition extends TopicPartition {
  readonly generation: number
  /** Undefined when this task never committed the partition. */
  readonly progress?: PartitionProgress | undefined
  /** The highest sequence in the log, or 0. */
  readonly sequence: number
}

/** A partition that a task acquired at some time, as it was last committed. */
export interface HeldPartition extends AcquiredPartition {
  readonly task: string
}

export interface StoredChunk {
  readonly sequence: number
  readonly bytes: Uint8Array
}

/**
 * The transaction of one epoch. Sinks that write to the same system join it, so that rows, stores and positions become
 * visible together or not at all.
 */
export interface EpochTransaction {
  /**
   * Makes the epoch durable.
   * Errors: WEIR_CHECKPOINT_FENCED when a partition has a later generation, WEIR_CHECKPOINT_UNREACHABLE otherwise.
   */
  commit(commit: EpochCommit): Observable<never>
  /** Undoes all that joined. Never fails; harmless after `commit`. */
  rollback(): Observable<never>
}

/** Where positions and the changes of stores are committed together. One contract suite holds for every kind. */
export interface CheckpointStore<T extends EpochTransaction = EpochTransaction> {
  /** Completes when the store can be used; creates what it needs. */
  open(): Observable<never>
  /** Takes over partitions: bumps the generation of each, which fences off whoever had them. Emits them as one list. */
  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]>
  /** The chunks of a partition in the order of their sequence, and within one in the order of the commit. */
  load(task: string, partition: TopicPartition): Observable<StoredChunk>
  /** The partitions of every task of an app (`<app>.…`), in any order. Asking takes nothing over. */
  list(app: string): Observable<readonly HeldPartition[]>
  /**
   * Tells that the task gives partitions up after its last commit, where that spares their next owner the fencing.
   * Never needed for what is true: only for speed.
   */
  release?(task: string, partitions: readonly TopicPartition[]): Observable<never>
  /**
   * Starts the transaction of the next epoch. Nothing is sent before something joins it or it commits. Without the name
   * of the task, it is the commit that tells whose epoch it is, and nothing can join before.
   */
  begin(task?: string): T
  close(): Observable<never>
}

/** A commit that was refused. `generation` is the one that the partition has now; null when nobody acquired it. */
export function fencedError(
  task: string,
  { topic, partition, generation }: TopicPartition & { readonly generation: string | number | null },
): WeirError {
  const place = { topic, partition }
  const why = generation === null ? 'nobody has acquired it' : `another task has it since (generation ${generation})`
  const message = `committing an epoch of '${task}': ${partitionName(place)}: ${why}`
  const hint = 'This task starts anew with the partitions that it still has.'
  return new WeirError('WEIR_CHECKPOINT_FENCED', message, { partition: place, hint })
}
