import type { Message } from '../../kafka/client.js'
import type { LogEnds } from '../../model/index.js'

/** Reads parts of a topic; each partition in the order of its offsets. */
export type Read = (extents: readonly LogEnds[]) => AsyncIterable<readonly Message[]>

interface Scanning<T> {
  readonly read: Read
  /** Where the records lie. */
  readonly extents: readonly LogEnds[]
  /** How many are wanted. */
  readonly limit: number
  /** From the end back, or from the beginning on. */
  readonly newestFirst: boolean
  /** What is kept of a record; undefined for those that are not meant. */
  keep(message: Message): Promise<T | undefined>
  /** Asked between the steps. */
  isOver(): boolean
}

interface Kept<T> {
  readonly timestamp: number
  readonly offset: number
  readonly kept: T
}

/** What of a partition was not read yet, and the time that the reading has come to. */
interface Part {
  rest: LogEnds
  reached: number
}

/** How much more is read of each partition where there was too little. */
const growth = 8

/**
 * The newest records of a topic, or its oldest, by their times, as many as are wanted. Kafka only reads on: so of each partition
 * a piece at its end is read, and larger ones before it, until what is left there can't be newer than what was found. Where a
 * partition is not in the order of time, what is out of it may be missed.
 */
export async function scan<T>(scanning: Scanning<T>): Promise<readonly T[]> {
  const { read, extents, limit, newestFirst, keep, isOver } = scanning
  const sign = newestFirst ? -1 : 1
  const inOrder = (one: Kept<T>, other: Kept<T>) =>
    sign * (one.timestamp - other.timestamp) || sign * (one.offset - other.offset)
  let found: Kept<T>[] = []
  let parts: Part[] = extents.map((rest) => ({ rest, reached: newestFirst ? Infinity : -Infinity }))
  const mayHaveMore = ({ rest, reached }: Part) => {
    const last = found[limit - 1]
    return rest.start < rest.end && (last === undefined || sign * (reached - last.timestamp) < 0)
  }
  for (let most = limit; !isOver(); most *= growth) {
    parts = parts.filter(mayHaveMore)
    if (parts.length === 0) break
    const pieces = parts.map((part) => cutOff(part, most, newestFirst))
    const byPartition = new Map(parts.map((part) => [part.rest.partition, part]))
    for await (const messages of read(pieces)) {
      for (const message of messages) {
        const { partition, offset, timestamp = -1 } = message
        const part = byPartition.get(partition)
        if (part !== undefined)
          part.reached = newestFirst ? Math.min(part.reached, timestamp) : Math.max(part.reached, timestamp)
        const kept = await keep(message)
        if (kept !== undefined) found.push({ timestamp, offset, kept })
      }
      if (found.length > 2 * limit) found = found.sort(inOrder).slice(0, limit)
      if (isOver()) break
    }
    found = found.sort(inOrder).slice(0, limit)
  }
  return found.map(({ kept }) => kept)
}

/** The next piece of what is left, which is less then. */
function cutOff(part: Part, most: number, newestFirst: boolean): LogEnds {
  const { rest } = part
  if (newestFirst) {
    const start = Math.max(rest.start, rest.end - most)
    part.rest = { ...rest, end: start }
    return { ...rest, start }
  }
  const end = Math.min(rest.end, rest.start + most)
  part.rest = { ...rest, start: end }
  return { ...rest, end }
}
