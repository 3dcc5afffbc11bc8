import type { TopicPartition } from './partition.js'
import type { CodecVersion, StoreKey } from './store.js'

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
    /** What was told of the source partition before, for those who have to know a repeat. */
    readonly told: { readonly watermark: number; readonly sentTo: number } | undefined = undefined,
  ) {}
}
