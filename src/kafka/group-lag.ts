import { isSamePartition, type LogEnds, type Position, partitionName } from '../model/index.js'
import { offsetIn } from '../state/topic-protocol/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { ExtentReader } from './extent-reader.js'

/** How far a position is from the end of its partition. */
export interface Lag extends Position {
  /** Where the partition begins and ends, for who reads what is committed; undefined where there is no such partition. */
  readonly log: LogEnds | undefined
  /** How many records are not read; at most, for markers of transactions count, and what was compacted. 0 where all are. */
  readonly records: number
  /** How old the first of them is, ms; undefined where there is none. */
  readonly behindMs: number | undefined
}

/** How many offsets are looked at for a first record; markers of transactions have some of their own. */
const [atFirst, growth] = [100, 8]
/** Of each partition one record is wanted, and not a megabyte. */
const sparing = { 'fetch.message.max.bytes': 65_536, 'queued.min.messages': 1_000 }

/** Errors: WEIR_SOURCE_UNREACHABLE. */
export async function lagOf(
  connection: KafkaConnection,
  positions: readonly Position[],
  now = Date.now(),
): Promise<readonly Lag[]> {
  const logs = await committedEnds(connection, positions)
  const logAt = (position: Position) => logs.find((log) => isSamePartition(log, position))
  const unread = positions.flatMap((position) => {
    const log = logAt(position)
    const start = Math.max(position.offset, log?.start ?? 0)
    return log === undefined || start >= log.end ? [] : [{ ...log, start }]
  })
  const times = new Map<string, number>()
  for (const topic of new Set(unread.map((one) => one.topic)))
    for (const [name, time] of await firstTimes(
      connection,
      unread.filter((one) => one.topic === topic),
    ))
      times.set(name, time)
  return positions.map((position) => {
    const time = times.get(partitionName(position))
    const log = logAt(position)
    if (time === undefined || log === undefined) return { ...position, log, records: 0, behindMs: undefined }
    const records = log.end - Math.max(position.offset, log.start)
    return { ...position, log, records, behindMs: Math.max(0, now - time) }
  })
}

/** Where they begin, and where what is committed ends: what comes after an open transaction nobody has to have read. */
async function committedEnds(
  { topics, address }: KafkaConnection,
  positions: readonly Position[],
): Promise<readonly LogEnds[]> {
  try {
    const logs = await topics.logEnds(positions)
    const ends = await topics.offsets(logs, 'latest', { isCommitted: true })
    return logs.map((log) => ({ ...log, end: offsetIn(ends, log) ?? log.end }))
  } catch (error) {
    throw kafkaError('WEIR_SOURCE_UNREACHABLE', 'asking how far groups are', error as ClientError, { address })
  }
}

/** The time of the first record that is committed in each of these partitions of one topic. */
async function firstTimes(connection: KafkaConnection, extents: readonly LogEnds[]): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  const reader = new ExtentReader(connection, extents[0]?.topic ?? '', sparing)
  try {
    let open = extents
    for (let most = atFirst; open.length > 0; most *= growth) {
      const pieces = open.map((one) => ({ ...one, end: Math.min(one.end, one.start + most) }))
      for await (const messages of reader.messages(pieces))
        for (const message of messages) {
          const name = partitionName(message)
          if (!times.has(name)) times.set(name, message.timestamp ?? -1)
        }
      open = open
        .filter((one) => !times.has(partitionName(one)))
        .map((one) => ({ ...one, start: Math.min(one.end, one.start + most) }))
        .filter(({ start, end }) => start < end)
    }
    return times
  } finally {
    await reader.close()
  }
}
