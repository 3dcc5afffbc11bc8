import { defer, EMPTY, from, of, type Observable } from 'rxjs'
import {
  partitionName,
  WeirError,
  type AcquiredPartition,
  type CheckpointStore,
  type EpochCommit,
  type EpochTransaction,
  type PartitionCommit,
  type PartitionProgress,
  type StoredChunk,
  type TopicPartition,
} from '../model/index.js'

interface Kept {
  generation: number
  progress: PartitionProgress | undefined
  sequence: number
  chunks: StoredChunk[]
}

/** Checkpoints that last as long as this object: state is lost with the process. */
export class MemoryCheckpoints implements CheckpointStore {
  private readonly kept = new Map<string, Kept>()

  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return defer(() =>
      of(
        partitions.map(({ topic, partition }) => {
          const kept = this.of(task, { topic, partition })
          kept.generation++
          const { generation, progress, sequence } = kept
          return { topic, partition, generation, progress, sequence }
        }),
      ),
    )
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    return defer(() => from([...this.of(task, partition).chunks]))
  }

  begin(): EpochTransaction {
    return { commit: (commit) => defer(() => this.commit(commit)), rollback: () => EMPTY }
  }

  close(): Observable<never> {
    return EMPTY
  }

  private commit({ task, partitions }: EpochCommit): Observable<never> {
    // All are checked before any is written: a commit holds as a whole or not at all.
    for (const partition of partitions) refuseOlder(this.of(task, partition).generation, partition)
    for (const partition of partitions) keep(this.of(task, partition), partition)
    return EMPTY
  }

  private of(task: string, partition: TopicPartition): Kept {
    const name = `${task} ${partitionName(partition)}`
    let kept = this.kept.get(name)
    if (kept === undefined) this.kept.set(name, (kept = { generation: 0, progress: undefined, sequence: 0, chunks: [] }))
    return kept
  }
}

function refuseOlder(current: number, { topic, partition, generation }: PartitionCommit): void {
  if (generation === current) return
  throw new WeirError(
    'WEIR_CHECKPOINT_FENCED',
    `committing: generation ${generation} is over, ${current} has the partition`,
    { partition: { topic, partition } },
  )
}

function keep(kept: Kept, { progress, sequence, chunks, truncateBefore = 0 }: PartitionCommit): void {
  kept.progress = progress
  kept.sequence = sequence
  kept.chunks = [...kept.chunks, ...chunks.map((bytes) => ({ sequence, bytes }))].filter(
    (chunk) => chunk.sequence >= truncateBefore,
  )
}
