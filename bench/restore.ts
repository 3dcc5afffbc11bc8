/**
 * How fast state comes back: counts of a million users, written in epochs to each kind of checkpoint store, then
 * acquired and restored by a task that has nothing in memory. The servers run on this machine. A server that can't be
 * started here is passed over.
 */
import { lastValueFrom, type Observable, tap } from 'rxjs'
import { kafka, postgres, redis } from 'weirflow'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type Connection,
  type ConnectionContext,
  silentLogger,
  systemClock,
} from '../src/model/index.js'
import { MemoryCheckpoints, TaskStores } from '../src/state/index.js'
import { RedisServer } from '../test/servers/redis-server.js'
import { median } from './support/contest.js'
import { createTopic } from './support/load.js'
import { logOf, partition } from './support/logs.js'
import { withKafka, withPostgres } from './support/servers.js'

const keys = Number(process.env['KEYS'] ?? process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
const keysPerEpoch = 20_000
const task = `bench.restore-${Date.now()}`

/** A kind of checkpoint store, as another process would open it. */
interface Opened {
  readonly store: CheckpointStore
  close(): Promise<void>
}

const context: ConnectionContext = {
  app: 'bench',
  name: 'bench',
  clock: systemClock,
  log: silentLogger,
  production: false,
  dataDirectory: '.weir',
}

const memory = new MemoryCheckpoints()
await measure('memory', () => ({ store: memory, close: () => Promise.resolve() }))
await orPassOver('postgres', () =>
  withPostgres((url) =>
    measure('postgres', () => opened(postgres.definition, postgres.definition.options.parse({ url }))),
  ),
)
await orPassOver('redis', async () => {
  const server = await RedisServer.start({ settings: ['--appendfsync', 'everysec'] })
  try {
    await measure('redis', () => opened(redis.definition, redis.definition.options.parse({ url: server.url })))
  } finally {
    await server.close()
  }
})
await orPassOver('kafka', () =>
  withKafka(async (brokers) => {
    await createTopic(brokers, partition.topic, 1)
    await measure('kafka', () => opened(kafka.definition, kafka.definition.options.parse({ brokers })))
  }),
)

function opened<O, C extends Connection>(
  definition: {
    open(options: O, context: ConnectionContext): C
    checkpoints?(connection: C, context: ConnectionContext): CheckpointStore
  },
  options: O,
): Opened {
  const connection = definition.open(options, context)
  const store = definition.checkpoints?.(connection, context)
  if (store === undefined) throw new Error(`${connection.address} keeps no checkpoints`)
  return { store, close: () => connection.close() }
}

async function orPassOver(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    console.log(`restore, ${name}: passed over: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function measure(name: string, open: () => Opened): Promise<void> {
  const bytes = await using(open, fill)
  const rates: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const ms = await using(open, restore)
    rates.push(Math.round((keys / ms) * 1_000))
    console.log(`restore, round ${round}, ${name}: ${rates.at(-1)} keys/s`)
  }
  console.log(`restore, ${name}, median: ${median(rates)} keys/s (${keys} keys, ${(bytes / 2 ** 20).toFixed(1)} MiB)`)
}

async function using<T>(open: () => Opened, work: (store: CheckpointStore) => Promise<T>): Promise<T> {
  const { store, close } = open()
  try {
    await done(store.open())
    return await work(store)
  } finally {
    await done(store.close())
    await close()
  }
}

/** Returns how many bytes were written. */
async function fill(store: CheckpointStore): Promise<number> {
  const { stores, part } = await acquire(store)
  const log = logOf(stores)
  for (let key = 0; key < keys; ) {
    for (const last = Math.min(keys, key + keysPerEpoch); key < last; key++) part().add(0, `user-${key}`, key)
    await done(store.begin(task).commit({ task, partitions: [log.commit()] }))
  }
  return log.bytes()
}

/** Returns how long it took, ms, from taking the partition over to the last key. */
async function restore(store: CheckpointStore): Promise<number> {
  const began = performance.now()
  const { stores, part } = await acquire(store)
  await done(store.load(task, partition).pipe(tap((chunk) => stores.restore(partition, chunk))))
  stores.restored(partition)
  const ms = performance.now() - began
  const found = part().segment(0)?.size
  const last = part().get(0, `user-${keys - 1}`)?.value
  if (found !== keys || last !== keys - 1)
    throw new Error(`${found} of ${keys} keys came back, the last one as ${last}`)
  return ms
}

async function acquire(store: CheckpointStore) {
  const stores = new TaskStores()
  const counts = stores.declare('counts', {
    version: 1,
    save: (value: number) => value,
    load: (saved) => saved as number,
  })
  const [acquired] = (await lastValueFrom(store.acquire(task, [partition]))) as [AcquiredPartition]
  stores.assign(acquired)
  return { stores, part: () => counts.of(partition.topic, partition.partition) }
}

function done(observable$: Observable<unknown>): Promise<unknown> {
  return lastValueFrom(observable$, { defaultValue: undefined })
}
