import type { combine } from '../../aggregates/index.js'
import { noHeaders, type StoreKey, type StorePartition, StreamRecord } from '../../model/index.js'
import type { Aggregated, Window, Windowed, WindowOptions } from '../windows.js'

export type Combined = ReturnType<typeof combine>

/** Takes out every window that the watermark has passed, oldest first, and yields the result of each key in it. */
export function* closing<V>(
  parts: readonly StorePartition<V>[],
  watermark: number,
  window: WindowOptions,
  stage: string,
  valueOf: (parts: readonly StorePartition<V>[], start: number, key: StoreKey) => unknown,
): Generator<StreamRecord> {
  const { size, grace } = window
  // A result has no one record that it stems from.
  const origin = { topic: stage, partition: -1, offset: -1 }
  for (const start of startsOf(parts)) {
    if (start + size + grace > watermark) return
    const at = { timestamp: start + size - 1, origin, behindMs: 0 }
    const of = windowOf(start, window)
    for (const key of keysOf(parts, start)) yield resultOf(of, key, valueOf(parts, start, key), at)
    for (const part of parts) part.dropSegment(start)
  }
}

/** Merges what the partitions have of a group, and tells its result. */
export function merged(
  aggregate: Combined,
  parts: readonly StorePartition<unknown>[],
  start: number,
  key: StoreKey,
): unknown {
  const partials: unknown[] = []
  for (const part of parts) {
    const entry = part.get(start, key)
    if (entry !== undefined) partials.push(entry.value)
  }
  return mergedOf(aggregate, partials)
}

/** The result of several partials, which stay as they are. */
export function mergedOf(aggregate: Combined, partials: readonly unknown[]): unknown {
  const whole =
    partials.length === 1 ? partials[0] : partials.reduce((all, one) => aggregate.merge(all, one), aggregate.init())
  return aggregate.result(whole)
}

/** A result as a record of its group. */
export function resultOf(
  window: Window | undefined,
  key: StoreKey,
  value: unknown,
  { timestamp, origin, behindMs }: Pick<StreamRecord, 'timestamp' | 'origin' | 'behindMs'>,
): StreamRecord {
  const result: Aggregated<unknown, StoreKey> | Windowed<unknown, StoreKey> =
    window === undefined ? { key, value } : { key, window, value }
  return new StreamRecord(key === null ? null : String(key), result, timestamp, noHeaders, origin, behindMs)
}

export function startsOf(parts: readonly StorePartition<unknown>[]): number[] {
  return [...new Set(parts.flatMap((part) => [...part.segments()]))].sort((a, b) => a - b)
}

function keysOf(parts: readonly StorePartition<unknown>[], start: number): Set<StoreKey> {
  const keys = new Set<StoreKey>()
  for (const part of parts) for (const key of part.segment(start)?.keys() ?? []) keys.add(key)
  return keys
}

/** What all results of a window share. */
export function windowOf(start: number, { size }: WindowOptions): Window {
  const window = { start: new Date(start), end: new Date(start + size) }
  let texts: { readonly start: string; readonly end: string } | undefined
  // Writing dates as text was two thirds of writing a result as JSON: it is done once for all of them.
  const toJSON = () => (texts ??= { start: window.start.toJSON(), end: window.end.toJSON() })
  return Object.defineProperty(window, 'toJSON', { value: toJSON })
}
