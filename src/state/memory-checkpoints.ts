import { defer, EMPTY, from, type Observable, of } from 'rxjs'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type EpochCommit,
  type EpochTransaction,
  fencedError,
  type HeldPartition,
  type PartitionCommit,
  type PartitionProgress,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../model/index.js'

interface Log {
  readonly of: TopicPartition & { readonly task: string }
  generation: number
  progress: PartitionProgress | undefined
  sequence: number
  chunks: StoredChunk[]
}

/** Positions and stores that survive a task, but not the process. Every task of the process has to use the same one. */
export class MemoryCheckpoints implements CheckpointStore {
  private readonly logs = new Map<string, Log>()

  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return defer(() => of(partitions.map((partition) => this.take(task, partition))))
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    return defer(() => from(this.logs.get(nameOf(task, partition))?.chunks ?? []))
  }

  list(app: string): Observable<readonly HeldPartition[]> {
    return defer(() => {
      const logs = [...this.logs.values()].filter(({ of: { task } }) => task.startsWith(`${app}.`))
      return of(
        logs.map(({ of: held, generation, progress, sequence }) => ({ ...held, generation, progress, sequence })),
      )
    })
  }

  begin(): EpochTransaction {
    let isOver = false
    return {
      commit: (commit) =>
        defer(() => {
          if (isOver)
            throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `committing an epoch of '${commit.task}': it is over`)
          isOver = true
          this.commit(commit)
          return EMPTY
        }),
      rollback: () =>
        defer(() => {
          isOver = true
          return EMPTY
        }),
    }
  }

  close(): Observable<never> {
    return EMPTY
  }

  private take(task: string, { topic, partition }: TopicPartition): AcquiredPartition {
    const name = nameOf(task, { topic, partition })
    const log = this.logs.get(name) ?? newLog({ task, topic, partition })
    this.logs.set(name, log)
    log.generation++
    const { generation, progress, sequence } = log
    return { topic, partition, generation, progress, sequence }
  }

  private commit({ task, partitions }: EpochCommit): void {
    const logs = partitions.map((partition) => this.fenced(task, partition))
    for (const [index, partition] of partitions.entries()) append(logs[index] as Log, partition)
  }

  private fenced(task: string, partition: PartitionCommit): Log {
    const log = this.logs.get(nameOf(task, partition))
    if (log?.generation === partition.generation) return log
    throw fencedError(task, { ...partition, generation: log?.generation ?? null })
  }
}

function newLog(of: Log['of']): Log {
  return { of, generation: 0, progress: undefined, sequence: 0, chunks: [] }
}

function append(log: Log, { progress, sequence, chunks, truncateBefore = 0 }: PartitionCommit): void {
  log.progress = progress
  log.sequence = sequence
  // Copies: the caller may use its buffers again.
  log.chunks = [...log.chunks, ...chunks.map((bytes) => ({ sequence, bytes: new Uint8Array(bytes) }))].filter(
    (chunk) => chunk.sequence >= truncateBefore,
  )
}

function nameOf(task: string, partition: TopicPartition): string {
  return `${task} ${partitionName(partition)}`
}
