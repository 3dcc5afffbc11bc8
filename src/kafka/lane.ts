import type { Subscriber } from 'rxjs'
import type { Position, StreamRecord, TopicPartition } from '../model/index.js'
import type { KafkaValue } from './kafka-value.js'
import type { Pump } from './pump.js'
import type { Reading } from './silence.js'

/** Where records go that have come. */
export interface Destination {
  readonly out: Subscriber<StreamRecord<KafkaValue>>
  /** The time, in ms of reading, at which the positions of their partitions move. */
  readonly moved: number
  part(topic: string, partition: number): Reading | undefined
}

/** Records that came together. */
export interface Chunk {
  /** How many of them are not emitted yet. */
  readonly left: number
  /**
   * Emits them in their order, at most so many, and moves the positions of their partitions; those of partitions that are
   * not read any more it leaves out. Returns how many bytes their values have.
   */
  emit(most: number, to: Destination): number
}

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
