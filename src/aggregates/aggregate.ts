import type { StoreCodec, StreamRecord } from '../model/index.js'

/**
 * A way to sum up records: how it starts, takes a value, joins with its like, and what it tells. Because two of them
 * can be merged, each source partition keeps its own and they meet when the window closes.
 * A plain object of this shape is an aggregate of your own.
 *
 * The order that it gets is the same wherever epochs end, whatever crashes, and however partitions are shared out:
 *
 *   add     the records of one source partition, in the order in which they were read
 *   merge   into what `init` made: slices of time from the oldest on (overlapping windows have several), and of each slice
 *           the source partitions by topic and number
 *
 * Who minds the order of records of several partitions has to keep what tells it, as `collect` does: `record.timestamp +
 * record.behindMs` is its partition's stream time when it came, which never goes back, and `record.origin` its place.
 */
export interface Aggregate<in V, A, out R> {
  init(): A
  /**
   * Takes a value in; may change what has been accumulated in place, and returns it. `skip` counts a record in which there
   * is nothing to take in.
   */
  add(accumulated: A, value: V, record: StreamRecord, skip?: () => void): A
  /** Takes another accumulation in, which stays as it is: see above in which order. */
  merge(accumulated: A, other: A): A
  result(accumulated: A): R
  /** How it is stored. Without one it is stored as it is, so it must be plain data. */
  readonly codec?: StoreCodec<A>
}

/** Stores plain data as it is. */
export const plainCodec: StoreCodec<never> = { version: 1, save: (value) => value, load: (saved) => saved as never }
