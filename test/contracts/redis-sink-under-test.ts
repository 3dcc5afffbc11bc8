import { lastValueFrom } from 'rxjs'
import { silentLogger } from '../../src/model/index.js'
import { RedisCheckpoints } from '../../src/redis/checkpoints.js'
import type { RedisClient, RedisConnection } from '../../src/redis/connection.js'
import type { RedisAppend, RedisWrite } from '../../src/redis/writes.js'
import { redisSink } from '../../src/sinks/redis.js'
import { SinkHarness } from './sink-harness.js'
import { type Item, oddItems, type TriedSink } from './sinks.contract.js'

export function redisHarness(
  connection: RedisConnection,
  options: Readonly<Record<string, unknown>>,
  joins: boolean,
): SinkHarness {
  const checkpoints = new RedisCheckpoints(connection, silentLogger)
  return new SinkHarness({ definition: redisSink, connection, checkpoints, options, joins })
}

/** A way to keep items in Redis: how one is written, and how all are read. */
interface Way {
  readonly write: (item: Item) => RedisWrite | RedisAppend
  readonly read: (client: RedisClient) => Promise<readonly Item[]>
  readonly append?: boolean
}

export const ways = {
  hash: {
    write: ({ id, text }) => ({ hash: 'items', field: id, value: text }),
    read: async (client) =>
      Object.entries(await client.hgetall('items')).map(([id, text]) => ({ id: Number(id), text })),
  },
  stream: {
    write: ({ id, text }) => ({ stream: 'items', fields: { id, text } }),
    read: async (client) =>
      (await client.xrange('items', '-', '+')).map(([, [, id, , text = '']]) => ({ id: Number(id), text })),
    append: true,
  },
} satisfies Record<string, Way>

export interface RedisSinkSetup {
  readonly connection: RedisConnection
  readonly way: keyof typeof ways
  readonly joins?: boolean
  close(): Promise<void>
}

/** Items in one key, for the sink contract. */
export async function redisSinkUnderTest({
  connection,
  way,
  joins = false,
  close,
}: RedisSinkSetup): Promise<TriedSink> {
  const { write, read, append = false }: Way = ways[way]
  // The key `taken` is of a type that takes neither.
  const refused = { hash: 'taken', field: 'x', value: 1 }
  const options = { write: (item: Item) => (item.text === 'refused' ? refused : write(item)), append }
  const harness = redisHarness(connection, options, joins)
  const use = <T>(work: (client: RedisClient) => Promise<T>) => lastValueFrom(connection.run(work))
  await harness.open()
  return {
    reset: async () => {
      harness.rejecting.forget()
      await use((client) => client.del('items'))
      await use((client) => client.set('taken', 'text'))
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => use(read),
    rejecting: harness.rejecting,
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    odd: oddItems,
    close,
  }
}
