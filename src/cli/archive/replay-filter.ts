import type { ReadRow, RowsSummary } from '../../codecs/archive/file-reader.js'
import { instantOf, microsOf } from '../../codecs/archive/instant.js'
import { UsageError } from '../io.js'
import { timeOption } from '../time-option.js'

export interface FilterOptions {
  readonly since?: string
  readonly until?: string
  readonly type?: readonly string[]
  readonly offsets?: readonly string[]
}

/** Which rows of an archive are meant. */
export interface RowFilter {
  isWanted(row: ReadRow): boolean
  /** Whether any of some rows may be. */
  mayHave(rows: RowsSummary): boolean
  /** Whether any of a partition may be. */
  hasPartition(partition: number): boolean
}

/** Offsets of a partition, both ends included. */
interface Range {
  readonly partition: number
  readonly first: number
  readonly last: number
}

const rangeShape = /^(\d+)@(\d*)-(\d*)$/

/** Errors: `UsageError` for what is no time or range of offsets. */
export function filterOf({ since, until, type = [], offsets = [] }: FilterOptions): RowFilter {
  const [from, to] = [timeOf('--since', since), timeOf('--until', until)]
  const types = new Set(type)
  const ranges = offsets.map(rangeOf)
  const isInTime = (micros: number | bigint | undefined) =>
    (from === undefined && to === undefined) ||
    (micros !== undefined && (from === undefined || micros >= from) && (to === undefined || micros < to))
  return {
    isWanted: (row) =>
      (types.size === 0 || types.has(row.type)) &&
      (ranges.length === 0 || ranges.some((range) => isInRange(range, row))) &&
      isInTime((row.time === undefined ? undefined : instantOf(row.time)) ?? arrivalOf(row)),
    mayHave: ({ partitions, offsets, types: told, times }) =>
      (types.size === 0 || told === undefined || type.some((one) => isBetween(one, told))) &&
      (ranges.length === 0 || ranges.some((range) => overlaps(range, partitions, offsets))) &&
      (times === undefined || ((to === undefined || times[0] < to) && (from === undefined || times[1] >= from))),
    hasPartition: (partition) => ranges.length === 0 || ranges.some((range) => range.partition === partition),
  }
}

/** By bytes, as files have them: text would be another order beyond U+FFFF. */
function isBetween(text: string, [least, largest]: readonly [string, string]): boolean {
  const bytes = Buffer.from(text)
  return Buffer.compare(Buffer.from(least), bytes) <= 0 && Buffer.compare(bytes, Buffer.from(largest)) <= 0
}

/** The time of an event, or where it has none that of its record, µs. */
function arrivalOf({ timestamp }: ReadRow): number | bigint | undefined {
  return timestamp < 0 ? undefined : microsOf(timestamp)
}

function timeOf(option: string, text: string | undefined): bigint | undefined {
  const ms = timeOption(option, text)
  return ms === undefined ? undefined : BigInt(ms) * 1_000n
}

function rangeOf(text: string): Range {
  const [, partition, first, last] = rangeShape.exec(text) ?? []
  if (partition === undefined || (first === '' && last === ''))
    throw new UsageError(`--offsets: '${text}' are no offsets of a partition; write 0@100-199, 0@100- or 0@-199`)
  return {
    partition: Number(partition),
    first: first === '' ? 0 : Number(first),
    last: last === '' ? Number.POSITIVE_INFINITY : Number(last),
  }
}

function isInRange({ partition, first, last }: Range, row: ReadRow): boolean {
  return row.partition === partition && first <= row.offset && row.offset <= last
}

function overlaps(
  { partition, first, last }: Range,
  partitions: readonly number[],
  offsets: readonly number[],
): boolean {
  const [least = 0, largest = 0] = partitions
  const [start = 0, end = 0] = offsets
  return least <= partition && partition <= largest && first <= end && start <= last
}
