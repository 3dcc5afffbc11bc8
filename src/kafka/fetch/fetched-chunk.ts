import { StreamRecord } from '../../model/index.js'
import type { Chunk, Destination } from '../chunk.js'
import type { Message } from '../client.js'
import type { Reading } from '../silence.js'
import type { FetchedRecords } from './record-batch.js'

/** Records of one partition, and how far its log was read with them. */
export class FetchedChunk implements Chunk {
  private next = 0

  constructor(
    readonly topic: string,
    readonly partition: number,
    private readonly records: FetchedRecords | undefined,
    /** Where its reader is when all are emitted: past marks and what was aborted or compacted, too. */
    private readonly end: number,
  ) {}

  get left(): number {
    return this.count - this.next
  }

  emit(most: number, { out, moved, part: partOf }: Destination): number {
    const { topic, partition, records } = this
    const part = partOf(topic, partition)
    if (part === undefined) {
      this.next = this.count
      return 0
    }
    part.moved = moved
    const bytes = records === undefined ? 0 : this.emitRecords(records, most, part, out)
    if (this.left === 0 && !part.isHeld) part.position = Math.max(part.position, this.end)
    return bytes
  }

  /** Adds them to the others in their order, at most so many, as the client gives messages. */
  take(most: number, to: Message[]): void {
    const { topic, partition, records } = this
    if (records === undefined) return
    const last = Math.min(this.count, this.next + most)
    for (; this.next < last; this.next++) {
      const { next } = this
      to.push({
        topic,
        partition,
        offset: records.offset(next),
        key: records.key(next),
        value: records.value(next),
        timestamp: records.timestamp(next),
        headers: [...records.headers(next)],
        size: records.size(next),
      })
    }
  }

  private emitRecords(records: FetchedRecords, most: number, part: Reading, out: Destination['out']): number {
    const { topic, partition } = this
    const last = Math.min(this.count, this.next + most)
    let bytes = 0
    while (this.next < last && !out.closed && !part.isHeld) {
      const index = this.next++
      const offset = records.offset(index)
      part.position = offset + 1
      bytes += records.size(index)
      const [key, value] = [records.key(index), records.value(index)]
      const [timestamp, headers] = [records.timestamp(index), records.headers(index)]
      // Stages and sinks tell by identity whether a record still has what was read.
      const origin = { topic, partition, offset, key, value, timestamp, headers }
      out.next(new StreamRecord(key, value, timestamp, headers, origin))
    }
    return bytes
  }

  private get count(): number {
    return this.records?.count ?? 0
  }
}
