import type { Redis } from 'ioredis'
import { EMPTY, expand, from, ignoreElements, mergeMap, type Observable, tap } from 'rxjs'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type Logger,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { chunksKey } from './checkpoint-keys.js'
import { acquirePartitions } from './checkpoint-scripts.js'
import type { RedisConnection } from './connection.js'
import { failing } from './faults.js'
import { RedisTransaction } from './transaction.js'

/** A chunk may have a megabyte: a log can be larger than memory should be. */
const chunksPerPage = 8

interface ChunkPage {
  readonly chunks: readonly StoredChunk[]
  /** The id of the last chunk; undefined after the last page. */
  readonly last: string | undefined
}

/**
 * Positions in a hash and chunks in streams, each epoch committed by one script. Redis 6.2 or later.
 *
 * It is as durable as the server: with `appendonly yes` a commit survives the end of the server's process. With the
 * usual `appendfsync everysec`, a machine that fails takes up to a second of commits with it, and a replica that takes
 * over may lack as much: stores and positions then fall back together, to an earlier epoch. `appendfsync always` loses
 * nothing. `maxmemory-policy` has to be `noeviction`: state that is evicted is lost.
 */
export class RedisCheckpoints implements CheckpointStore<RedisTransaction> {
  constructor(
    private readonly connection: RedisConnection,
    private readonly log: Logger,
  ) {}

  open(): Observable<never> {
    return this.connection
      .run((client) => client.info())
      .pipe(
        tap((info) => this.inspect(info)),
        ignoreElements(),
        failing(`opening the checkpoint store at ${this.connection.address}`),
      )
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.connection
      .run((client) => acquirePartitions(client, task, partitions))
      .pipe(failing(`acquiring partitions for '${task}'`))
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    const key = chunksKey(task, partition)
    const page = (after: string) => this.connection.run((client) => readChunks(client, key, after))
    return page('0-0').pipe(
      expand(({ last }) => (last === undefined ? EMPTY : page(last)), 1),
      mergeMap(({ chunks }) => from(chunks), 1),
      failing(`loading the state of '${task}', ${partitionName(partition)}`),
    )
  }

  begin(): RedisTransaction {
    return new RedisTransaction(this.connection)
  }

  /** The connection is closed by whoever opened it. */
  close(): Observable<never> {
    return EMPTY
  }

  /** Refuses servers that are too old, and warns of settings that lose state. */
  private inspect(info: string): void {
    const fact = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
    const version = fact('redis_version') ?? ''
    if (isOlder(version, 6, 2)) {
      throw new WeirError(
        'WEIR_CONFIG_INVALID',
        `opening the checkpoint store: ${this.connection.address} is Redis ${version}`,
        {
          hint: 'Use Redis 6.2 or later.',
        },
      )
    }
    if (fact('aof_enabled') === '0')
      this.log.warn(
        `${this.connection.address} keeps no append-only file: checkpoints may end with it (appendonly yes)`,
      )
    const policy = fact('maxmemory_policy')
    if (policy !== undefined && policy !== 'noeviction')
      this.log.warn(`${this.connection.address} may evict checkpoints (maxmemory-policy ${policy}): set noeviction`)
  }
}

async function readChunks(client: Redis, key: string, after: string): Promise<ChunkPage> {
  const entries = await client.xrangeBuffer(key, `(${after}`, '+', 'COUNT', chunksPerPage)
  const chunks = entries.map(
    ([id, [, bytes]]): StoredChunk => ({
      sequence: Number.parseInt(id.toString(), 10),
      bytes: bytes ?? Buffer.alloc(0),
    }),
  )
  return { chunks, last: entries.length < chunksPerPage ? undefined : entries.at(-1)?.[0].toString() }
}

function isOlder(version: string, major: number, minor: number): boolean {
  const [has = major, hasMinor = minor] = version.split('.').filter(Boolean).map(Number)
  return has < major || (has === major && hasMinor < minor)
}
