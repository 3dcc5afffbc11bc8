import type { StreamRecord } from './record.js'

/**
 * Records that travel together as the value of one, as `batch` makes them. Sinks unpack it, and nothing else: an array
 * is a value like any other. Each member keeps its own key, time, headers and origin.
 */
export class Batch<V = unknown> implements Iterable<V> {
  constructor(
    /** One at least. */
    readonly records: readonly StreamRecord<V>[],
  ) {}

  get length(): number {
    return this.records.length
  }

  /** The values alone, as a new array. */
  get values(): V[] {
    return this.records.map(({ value }) => value)
  }

  *[Symbol.iterator](): Iterator<V> {
    for (const { value } of this.records) yield value
  }

  /** In JSON a batch is the array of its values. */
  toJSON(): V[] {
    return this.values
  }
}
