import type { TopicPartition } from './partition.js'
import type { StreamRecord } from './record.js'
import type { CodecVersion, StoreCodec, StoreKey } from './store.js'

/** What was told of a source partition before something came, for those who have to know a repeat. */
export interface ToldBefore {
  /** All records before this offset whose slices the watermark completes were sent. */
  readonly position: number
  readonly watermark: number
  /** All records before this offset were sent. */
  readonly sentTo: number
  /** The last record that came ahead of its partial result, or -1. */
  readonly ahead: number
}

/** What an operator has combined of the records of one source partition and group. */
export class PartialResult {
  constructor(
    /** The source partition. */
    readonly source: TopicPartition,
    readonly generation: number,
    /** The offset of the last record in it. */
    readonly last: number,
    readonly segment: number,
    readonly key: StoreKey,
    /** Packed by the codec of the operator, under this version. */
    readonly saved: unknown,
    readonly version: CodecVersion,
    readonly told: ToldBefore | undefined = undefined,
    /** See `StoreCodec`. */
    readonly unkept: StoreCodec<unknown>['unkept'] = undefined,
  ) {}
}

/**
 * A record that a partial result to come holds, ahead of it: so that it can be rejected as itself where it is too late, and
 * its partition is waited for where it is not.
 */
export class CombinedRecord {
  constructor(
    readonly record: StreamRecord,
    readonly segment: number,
    readonly key: StoreKey,
    readonly told: ToldBefore | undefined = undefined,
  ) {}
}
