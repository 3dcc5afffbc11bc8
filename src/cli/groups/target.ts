import type { KafkaConnection } from '../../kafka/connection.js'
import { isSamePartition, type LogEnds, partitionName, type TopicPartition } from '../../model/index.js'
import { UsageError } from '../io.js'
import { wholeNumber } from '../number-option.js'
import { offsetIn } from '../set-position.js'
import { momentOption } from '../time-option.js'

/** Where a position is to be: at an end, at an offset, by so much from where it is, or at the first record of a time. */
export type Target = 'earliest' | 'latest' | number | { readonly by: number } | { readonly time: number }

/** Errors: `UsageError`. */
export function targetOf(text: string, now = Date.now()): Target {
  if (text === 'earliest' || text === 'latest') return text
  const offset = wholeNumber(text)
  if (offset !== undefined) return offset
  const by = /^[+-]\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(by)) return { by }
  try {
    return { time: momentOption('--to', text, now) as number }
  } catch {
    throw new UsageError(
      `--to: '${text}' is no position: write earliest, latest, an offset, +100, -100, or a time such as 2026-01-31T12:00:00Z or 10m`,
    )
  }
}

/** A partition, and the offset that its position is at, where it has one. */
export interface Placed extends TopicPartition {
  readonly offset: number | undefined
}

/** Where each is to go, in its log. Errors: `UsageError` for what no log has. */
export async function aimed<P extends Placed>(
  { topics }: KafkaConnection,
  target: Target,
  placed: readonly P[],
  logs: readonly LogEnds[],
): Promise<readonly (P & { readonly to: number })[]> {
  const at = typeof target === 'object' && 'time' in target ? await topics.offsets(logs, Math.max(0, target.time)) : []
  return placed.flatMap((one) => {
    const log = logs.find((other) => isSamePartition(other, one))
    if (log === undefined) return []
    if (typeof target !== 'object') return [{ ...one, to: offsetIn(log, target) }]
    if ('time' in target) return [{ ...one, to: at.find((found) => isSamePartition(found, one))?.offset ?? log.end }]
    if (one.offset === undefined)
      throw new UsageError(`--to: ${partitionName(one)} has no position yet to go ${target.by} from`)
    return [{ ...one, to: Math.min(log.end, Math.max(log.start, one.offset + target.by)) }]
  })
}
