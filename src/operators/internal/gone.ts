import {
  type GroupKey,
  groupKeyOf,
  noHeaders,
  PartitionMap,
  recordKeyOf,
  type Store,
  type StoreKey,
  StreamRecord,
} from '../../model/index.js'
import type { Aggregated } from '../windows.js'

/** The keys that a bounded store let go of in this epoch. They are told at its end, for what has gone may come back. */
export class Gone {
  private readonly parts = new PartitionMap<Map<StoreKey, StreamRecord>>()
  private record: StreamRecord | undefined

  /** An epoch begins: what one that failed has told is told again. */
  clear(): void {
    this.parts.clear()
  }

  /** What goes from now on does so with this record, and has its place and time. */
  by(record: StreamRecord): void {
    this.record = record
  }

  add(key: StoreKey): void {
    const { record } = this
    if (record === undefined) return
    const { topic, partition } = record.origin
    let keys = this.parts.get(topic, partition)
    if (keys === undefined) this.parts.set(topic, partition, (keys = new Map<StoreKey, StreamRecord>()))
    keys.set(key, record)
  }

  /** The last results of keys that are not there again. */
  *results(store: Store<unknown>): Generator<StreamRecord> {
    for (const [{ topic, partition }, keys] of this.parts.entries()) {
      const part = store.of(topic, partition)
      for (const [key, { timestamp, origin, behindMs }] of keys) {
        if (part.get(0, key) !== undefined) continue
        const result: Aggregated<undefined, GroupKey> = { key: groupKeyOf(key), value: undefined }
        yield new StreamRecord(recordKeyOf(key), result, timestamp, noHeaders, origin, behindMs)
      }
    }
  }
}
