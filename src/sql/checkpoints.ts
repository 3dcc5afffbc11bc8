import { catchError, EMPTY, expand, ignoreElements, mergeMap, type Observable, throwError } from 'rxjs'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type HeldPartition,
  type PartitionProgress,
  partitionName,
  type StoredChunk,
  type TopicPartition,
} from '../model/index.js'
import type { SqlConnection } from './connection.js'
import { type CarefulTasks, type EpochDialect, SqlTransaction } from './transaction.js'

/** The tables `weir_positions` and `weir_chunks` of a database, in its dialect. */
export interface CheckpointTables<Client> extends EpochDialect<Client> {
  create(client: Client): Promise<unknown>
  /** Bumps the generations of the partitions at once. Answers with their rows, in any order. */
  acquire(client: Client, task: string, partitions: readonly TopicPartition[]): Promise<readonly PositionRow[]>
  /** The rows of all tasks, in any order. */
  positions(client: Client): Promise<readonly (PositionRow & { readonly task: string })[]>
  /** At most `limit` chunks after a cursor, in order. */
  chunks(client: Client, partition: TaskPartition, after: ChunkCursor, limit: number): Promise<readonly ChunkRow[]>
}

export interface TaskPartition extends TopicPartition {
  readonly task: string
}

/** Drivers give large numbers as text. */
export interface PositionRow extends TopicPartition {
  readonly generation: string | number
  readonly position: string | number | null
  readonly stream_time: number | null
  readonly watermark: number | null
  readonly sequence: string | number
  /** What else is known of the partition, as JSON. */
  readonly further: string | null
}

export interface ChunkRow {
  readonly sequence: string | number
  readonly part: number
  readonly bytes: Buffer
}

/** Where a page of chunks begins. */
export interface ChunkCursor {
  readonly sequence: number
  readonly part: number
}

interface ChunkPage {
  readonly chunks: readonly StoredChunk[]
  /** Undefined after the last page. */
  readonly next: ChunkCursor | undefined
}

/** A log can be larger than memory should be. */
const chunksPerPage = 8
const beforeAll: ChunkCursor = { sequence: -1, part: -1 }

/** Positions and chunks in tables of a database; sinks that write to the same one may join. */
export class SqlCheckpoints<Client> implements CheckpointStore<SqlTransaction<Client>> {
  private readonly careful: CarefulTasks = new Set()

  constructor(
    private readonly connection: SqlConnection<Client>,
    private readonly tables: CheckpointTables<Client>,
  ) {}

  open(): Observable<never> {
    return this.connection
      .run((client) => this.tables.create(client))
      .pipe(ignoreElements(), this.failing(`opening the checkpoint store at ${this.connection.address}`))
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.connection
      .run(async (client) => acquired(partitions, await this.tables.acquire(client, task, partitions)))
      .pipe(this.failing(`acquiring partitions for '${task}'`))
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    const page = (after: ChunkCursor) =>
      this.connection.run(async (client) =>
        pageOf(await this.tables.chunks(client, { task, ...partition }, after, chunksPerPage)),
      )
    return page(beforeAll).pipe(
      expand(({ next }: ChunkPage) => (next === undefined ? EMPTY : page(next)), 1),
      mergeMap(({ chunks }) => chunks, 1),
      this.failing(`loading the state of '${task}', ${partitionName(partition)}`),
    )
  }

  list(app: string): Observable<readonly HeldPartition[]> {
    return this.connection
      .run(async (client) => held(app, await this.tables.positions(client)))
      .pipe(this.failing(`listing what tasks of '${app}' have`))
  }

  begin(task?: string): SqlTransaction<Client> {
    return new SqlTransaction(this.connection, this.tables, task, this.careful)
  }

  /** The connection is closed by whoever opened it. */
  close(): Observable<never> {
    return EMPTY
  }

  private failing<T>(doing: string) {
    const { faults } = this.connection
    return catchError<T, Observable<never>>((error: unknown) =>
      throwError(() => faults.asCheckpointFault(error, doing)),
    )
  }
}

/** In the order of the question. */
function acquired(partitions: readonly TopicPartition[], rows: readonly PositionRow[]): readonly AcquiredPartition[] {
  const byName = new Map(rows.map((row) => [partitionName(row), row]))
  return partitions.flatMap((partition) => {
    const row = byName.get(partitionName(partition))
    return row === undefined ? [] : [partitionOf(row)]
  })
}

function held(app: string, rows: readonly (PositionRow & { readonly task: string })[]): readonly HeldPartition[] {
  return rows.filter(({ task }) => task.startsWith(`${app}.`)).map((row) => ({ task: row.task, ...partitionOf(row) }))
}

function partitionOf(row: PositionRow): AcquiredPartition {
  const { topic, partition, generation, sequence } = row
  return {
    topic,
    partition,
    generation: Number(generation),
    sequence: Number(sequence),
    progress: progressOf(row),
  }
}

function progressOf({ position, stream_time, watermark, further }: PositionRow): AcquiredPartition['progress'] {
  if (position === null) return undefined
  return {
    ...(further === null ? {} : (JSON.parse(further) as Partial<PartitionProgress>)),
    position: Number(position),
    streamTime: stream_time ?? undefined,
    watermark: watermark ?? undefined,
  }
}

/** What has no column of its own, as JSON; null when there is nothing of it. */
export function furtherText(progress: PartitionProgress): string | null {
  const text = JSON.stringify({ ...progress, position: undefined, streamTime: undefined, watermark: undefined })
  return text === '{}' ? null : text
}

function pageOf(rows: readonly ChunkRow[]): ChunkPage {
  const chunks = rows.map(({ sequence, bytes }) => ({ sequence: Number(sequence), bytes }))
  const last = rows.length < chunksPerPage ? undefined : rows.at(-1)
  return { chunks, next: last && { sequence: Number(last.sequence), part: last.part } }
}
