import type { Subscriber } from 'rxjs'
import type { StreamRecord } from '../model/index.js'
import type { KafkaValue } from './kafka-value.js'
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
