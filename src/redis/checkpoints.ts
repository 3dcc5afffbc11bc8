import { Cluster, type Redis } from 'ioredis'
import { EMPTY, expand, from, ignoreElements, mergeMap, type Observable, tap } from 'rxjs'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type HeldPartition,
  type Logger,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { chunksKey, partitionOf, progressField, taskKey, taskOf, taskPattern } from './checkpoint-keys.js'
import { acquirePartitions, parseProgress } from './checkpoint-scripts.js'
import type { RedisClient, RedisConnection } from './connection.js'
import { failing } from './faults.js'
import { KnownProgress } from './known-progress.js'
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
 * It is as durable as the server, which needs `appendonly yes`. With `appendfsync always` nothing is lost. With the usual
 * `appendfsync everysec`, a server that ends at once (or its machine) takes a second or two of acknowledged commits with
 * it, and a replica that takes over may lack as much: stores and positions then fall back together to an earlier epoch,
 * which is noticed at the next commit, and read again from there. `maxmemory-policy` has to be `noeviction`: state that is
 * evicted is lost.
 */
export class RedisCheckpoints implements CheckpointStore<RedisTransaction> {
  private readonly known = new KnownProgress()
  /** The tasks whose scripts were refused for a key. */
  private readonly careful = new Set<string>()

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
      .run((client) => acquirePartitions(client, task, partitions, this.known))
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

  list(app: string): Observable<readonly HeldPartition[]> {
    return this.connection
      .run((client) => listPartitions(client, app))
      .pipe(failing(`listing what tasks of '${app}' have`))
  }

  begin(task?: string): RedisTransaction {
    return new RedisTransaction(this.connection, this.known, task, this.careful)
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

/** Looks at every key of the database: for people who ask, not for each epoch. */
async function listPartitions(client: RedisClient, app: string): Promise<readonly HeldPartition[]> {
  const tasks = new Set<string>()
  for (const node of client instanceof Cluster ? client.nodes('master') : [client]) {
    for await (const keys of taskKeys(node, app)) for (const key of keys) tasks.add(taskOf(key))
  }
  const held: HeldPartition[] = []
  for (const task of tasks) held.push(...heldBy(task, await client.hgetall(taskKey(task))))
  return held
}

function taskKeys(node: Redis, app: string): AsyncIterable<string[]> {
  return node.scanStream({ match: taskPattern(app), type: 'hash', count: 1_000 })
}

function heldBy(task: string, fields: Record<string, string>): HeldPartition[] {
  const generations = Object.entries(fields).filter(([field]) => field.startsWith('generation:'))
  return generations.map(([field, generation]) => {
    const partition = partitionOf(field)
    const progress = parseProgress(fields[progressField(partition)] ?? null)
    return { task, ...partition, generation: Number(generation), ...progress }
  })
}

async function readChunks(client: RedisClient, key: string, after: string): Promise<ChunkPage> {
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
