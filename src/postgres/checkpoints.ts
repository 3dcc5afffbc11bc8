import { catchError, EMPTY, expand, ignoreElements, mergeMap, type Observable, throwError } from 'rxjs'
import type { AcquiredPartition, CheckpointStore, StoredChunk, TopicPartition } from '../model/index.js'
import { partitionName } from '../model/index.js'
import {
  acquirePartitions,
  asCheckpointFault,
  type ChunkCursor,
  type ChunkPage,
  createCheckpointTables,
  readChunks,
} from './checkpoint-tables.js'
import type { PostgresConnection } from './connection.js'
import { PostgresTransaction } from './transaction.js'

const beforeAll: ChunkCursor = { sequence: -1, part: -1 }

/** Positions and chunks in the tables `weir_positions` and `weir_chunks`; other sinks of the database may join. */
export class PostgresCheckpoints implements CheckpointStore<PostgresTransaction> {
  constructor(private readonly connection: PostgresConnection) {}

  open(): Observable<never> {
    return this.connection
      .run(createCheckpointTables)
      .pipe(ignoreElements(), failing(`opening the checkpoint store at ${this.connection.address}`))
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.connection
      .run((client) => acquirePartitions(client, task, partitions))
      .pipe(failing(`acquiring partitions for '${task}'`))
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    const page = (after: ChunkCursor) => this.connection.run((client) => readChunks(client, task, partition, after))
    return page(beforeAll).pipe(
      expand(({ next }: ChunkPage) => (next === undefined ? EMPTY : page(next)), 1),
      mergeMap(({ chunks }) => chunks, 1),
      failing(`loading the state of '${task}', ${partitionName(partition)}`),
    )
  }

  begin(): PostgresTransaction {
    return new PostgresTransaction(this.connection)
  }

  /** The connection is closed by whoever opened it. */
  close(): Observable<never> {
    return EMPTY
  }
}

function failing<T>(doing: string) {
  return catchError<T, Observable<never>>((error: unknown) => throwError(() => asCheckpointFault(error, doing)))
}
