import type { StoreCodec, StreamRecord } from '../model/index.js'

/**
 * A way to sum up records: how it starts, takes a value, joins with its like, and what it tells. Because two of them
 * can be merged, each source partition keeps its own and they meet when the window closes.
 * A plain object of this shape is an aggregate of your own.
 */
export interface Aggregate<in V, A, out R> {
  init(): A
  /** Takes a value in; may change what has been accumulated in place, and returns it. */
  add(accumulated: A, value: V, record: StreamRecord): A
  /** Takes another accumulation in, which stays as it is. */
  merge(accumulated: A, other: A): A
  result(accumulated: A): R
  /** How it is stored. Without one it is stored as it is, so it must be plain data. */
  readonly codec?: StoreCodec<A>
}

/** Stores plain data as it is. */
export const plainCodec: StoreCodec<never> = { version: 1, save: (value) => value, load: (saved) => saved as never }
