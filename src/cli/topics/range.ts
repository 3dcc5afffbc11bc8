import type { KafkaConnection } from '../../kafka/connection.js'
import { type LogEnds, type Position, partitionName } from '../../model/index.js'
import { UsageError } from '../io.js'
import { partitionOption, wholeNumber } from '../number-option.js'
import { momentOption } from '../time-option.js'

export interface RangeOptions {
  readonly partition?: string
  readonly from?: string
  readonly since?: string
  readonly until?: string
}

/** Which part of a topic is meant. */
export interface Range {
  readonly partition: number | undefined
  readonly from: number | 'earliest' | 'latest' | undefined
  /** ms. */
  readonly since: number | undefined
  readonly until: number | undefined
}

/** Errors: `UsageError` for what is no place or time. */
export function rangeOf({ partition, from, since, until }: RangeOptions, now = Date.now()): Range {
  const range = {
    partition: partitionOption(partition),
    from: fromOption(from),
    since: momentOption('--since', since, now),
    until: momentOption('--until', until, now),
  }
  if (range.since !== undefined && range.until !== undefined && range.since >= range.until)
    throw new UsageError('--until: there is nothing between it and --since, which is no earlier')
  return range
}

function fromOption(text: string | undefined): Range['from'] {
  if (text === undefined || text === 'earliest' || text === 'latest') return text
  const offset = wholeNumber(text)
  if (offset !== undefined) return offset
  throw new UsageError(`--from: '${text}' is no offset: write a number, 'earliest' or 'latest'`)
}

/**
 * The same of each partition, as offsets. Brokers tell where a time begins: what was written out of the order of time, and
 * before that, is not looked for. Errors: `UsageError` where there is no such partition, WEIR_SOURCE_UNREACHABLE.
 */
export async function cutTo(
  { topics }: KafkaConnection,
  all: readonly LogEnds[],
  { partition, from, since, until }: Range,
): Promise<readonly LogEnds[]> {
  const asked = partition === undefined ? all : all.filter((one) => one.partition === partition)
  if (asked.length === 0)
    throw new UsageError(`there is no ${partitionName({ ...all[0]!, partition: partition ?? 0 })}: ${countOf(all)}`)
  const offsetsAt = (time: number | undefined) =>
    time === undefined ? undefined : topics.offsets(asked, Math.max(0, Math.trunc(time)))
  const [starts, ends] = await Promise.all([offsetsAt(since), offsetsAt(until)])
  return asked.map((log) => {
    const first = Math.max(log.start, startOf(log, from), starts === undefined ? 0 : foundIn(starts, log))
    const end = Math.min(log.end, ends === undefined ? log.end : foundIn(ends, log))
    return { ...log, start: Math.min(first, log.end), end }
  })
}

function countOf(all: readonly LogEnds[]): string {
  return all.length === 1 ? 'the topic has partition 0 alone' : `the topic has partitions 0 to ${all.length - 1}`
}

function startOf(log: LogEnds, from: Range['from']): number {
  if (from === undefined || from === 'earliest') return log.start
  return from === 'latest' ? log.end : from
}

/** The end, where all is of before that time. */
function foundIn(found: readonly Position[], { topic, partition, end }: LogEnds): number {
  return found.find((one) => one.topic === topic && one.partition === partition)?.offset ?? end
}
