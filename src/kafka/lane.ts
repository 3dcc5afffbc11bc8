import type { Position, TopicPartition } from '../model/index.js'
import type { Chunk } from './chunk.js'
import type { Pump } from './pump.js'
import type { Reading } from './silence.js'

/** The way of records from the brokers to a reader, which says what is read, and from where on. */
export interface Lane {
  /** The client's queue: what it has to tell comes by it, whichever way records come. */
  readonly pump: Pump
  /** Whether all was emitted that there was to read when that was last asked. */
  readonly hasAll: boolean
  /** The oldest records that are not emitted; the next ones come meanwhile. */
  oldest(): Chunk | undefined
  /** Forgets them. */
  shift(): void
  /** Resolves when the client is left alone for good. */
  stop(): Promise<void>
  /** Reads these too, as the answer to their assignment. */
  assign(positions: readonly Position[]): void
  /** Reads them no more, and forgets what has come of them: within `quietly`, it is never emitted. */
  release(partitions: readonly TopicPartition[]): void
  /** Forgets all that has come, and goes on at these positions. */
  seek(positions: readonly Position[]): Promise<void>
  /** Goes on where a partition is said to be, though the position before may be gone. */
  move(part: Reading): void
  /** Reads nothing of a topic, or again. */
  hold(topic: string, isHeld: boolean): void
}
