import { type Position, partitionName, type TopicPartition, WeirError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { lagOf } from './group-lag.js'
import { type GroupState, Groups, type ListedGroup } from './groups.js'

/** How far a group is behind in a partition. */
export interface PartitionLag extends TopicPartition {
  /** Its position, the next offset to read; null where it has none yet. */
  readonly committed: number | null
  /** The end of what can be read: before the first transaction that is not over. */
  readonly end: number
  /** How many records there are to read, at most; 0 is exact. */
  readonly records: number
  /** The timestamp of the first of them, ms; null where there is none, or that has none. */
  readonly unreadSince: number | null
}

export interface MeasuredGroup {
  readonly group: string
  /** `empty` has no members; `unknown` where the brokers have no list. */
  readonly state: GroupState
  /** By topic and number. Topics that are gone are left out. */
  readonly partitions: readonly PartitionLag[]
}

/** Measures groups, by name, or all; those that there are not are left out. Errors: WEIR_SOURCE_UNREACHABLE. */
export async function measureGroups(
  connection: KafkaConnection,
  names: readonly string[] | undefined,
): Promise<readonly MeasuredGroup[]> {
  try {
    const groups = new Groups(connection)
    // The embedded broker has no list.
    const listed = connection.isEmbedded ? (names ?? []).map(unknown) : await groups.list()
    const measured: MeasuredGroup[] = []
    for (const { group, state } of listed) {
      if (names?.includes(group) === false) continue
      const partitions = await partitionsOf(connection, await groups.positions(group))
      measured.push({ group, state, partitions })
    }
    return measured
  } catch (error) {
    if (error instanceof WeirError) throw error
    const { address } = connection
    throw kafkaError('WEIR_SOURCE_UNREACHABLE', 'measuring the lag of groups', error as ClientError, { address })
  }
}

/** A partition without a position, of a topic of which others have one, is read from its beginning. */
async function partitionsOf(
  connection: KafkaConnection,
  positions: readonly Position[],
): Promise<readonly PartitionLag[]> {
  const topics = [...new Set(positions.map(({ topic }) => topic))].sort()
  if (topics.length === 0) return []
  const committed = new Map(positions.map((position) => [partitionName(position), position.offset]))
  const seen = await connection.topics.describe(topics)
  const all = topics.flatMap((topic) =>
    Array.from({ length: seen.get(topic)?.partitions ?? 0 }, (_, partition) => ({ topic, partition })),
  )
  const now = Date.now()
  const lags = await lagOf(
    connection,
    all.map((one) => ({ ...one, offset: committed.get(partitionName(one)) ?? 0 })),
    now,
  )
  return lags.flatMap(({ topic, partition, log, records, behindMs }) => {
    if (log === undefined) return []
    const since = behindMs === undefined ? -1 : now - behindMs
    const position = committed.get(partitionName({ topic, partition })) ?? null
    return [{ topic, partition, committed: position, end: log.end, records, unreadSince: since < 0 ? null : since }]
  })
}

function unknown(group: string): ListedGroup {
  return { group, state: 'unknown' }
}
