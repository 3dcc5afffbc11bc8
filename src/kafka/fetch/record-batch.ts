import { AbortedProducers } from './aborted-producers.js'
import { type BatchHead, batchAt, isAbort, neededAt } from './batch-head.js'
import { decompress } from './compression.js'
import type { FetchedRecords } from './fetched-records.js'
import type { AbortedTransaction } from './protocol/fetch.js'
import { MalformedError } from './protocol/malformed.js'
import { RecordGatherer } from './record-gatherer.js'

export type { FetchedRecords } from './fetched-records.js'

export interface DecodedRecords {
  /** Consecutive batches that are not compressed are one; a compressed one is one of its own. None of them is empty. */
  readonly records: readonly FetchedRecords[]
  /** Where the next fetch begins: behind the last whole batch, also where nothing of it is left or meant for readers. */
  readonly next: number
  /** Leader epoch of the last whole batch; -1 where there was none. */
  readonly leaderEpoch: number
  /** Where the bytes held no whole batch: how many are needed for the first one. Else 0. */
  readonly wanted: number
}

export interface DecodeOptions {
  /** How large a batch may become when it is decompressed, bytes. */
  readonly maxBytes: number
  /** Whether batches have to have the checksums that they say. Default true: only the embedded broker gives some without. */
  readonly checksums?: boolean | undefined
}

/**
 * Reads the batches of one partition in a response: committed records from the offset `from` on. It is a promise only where
 * something is decompressed aside. A batch that can't be read ends it: what lies before is given, and who goes on at `next` is told
 * then. Errors: `MalformedError` where already the first one can't be read.
 */
export function decodeRecords(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
  options: DecodeOptions,
): DecodedRecords | Promise<DecodedRecords> {
  return new Decoding(bytes, from, aborted, options).result()
}

/** How far it has come. */
type Progress = Pick<DecodedRecords, 'next' | 'leaderEpoch'>

interface Part {
  readonly records: FetchedRecords | Promise<FetchedRecords>
  readonly before: Progress
}

const isPending = ({ records }: Part) => records instanceof Promise

class Decoding {
  private readonly parts: Part[] = []
  private progress: Progress
  /** Of the batches that lie in `bytes` as they are. */
  private readonly plain: RecordGatherer
  private readonly aborted: AbortedProducers

  constructor(
    private readonly bytes: Buffer,
    private readonly from: number,
    aborted: readonly AbortedTransaction[],
    private readonly options: DecodeOptions,
  ) {
    this.progress = { next: from, leaderEpoch: -1 }
    this.plain = new RecordGatherer(bytes)
    this.aborted = new AbortedProducers(aborted)
  }

  result(): DecodedRecords | Promise<DecodedRecords> {
    const end = this.readBatches()
    this.endPlain()
    const { parts, progress, bytes } = this
    if (end === 0 && bytes.length > 0) return { records: [], ...progress, wanted: neededAt(bytes, 0) }
    if (parts.some(isPending)) return this.decompressed()
    return this.decoded(
      parts.map(({ records }) => records as FetchedRecords),
      progress,
    )
  }

  private decoded(records: readonly FetchedRecords[], progress: Progress): DecodedRecords {
    return { records: records.filter(({ count }) => count > 0), ...progress, wanted: 0 }
  }

  /** Where the last one ends that could be read. */
  private readBatches(): number {
    let at = 0
    try {
      for (let batch = this.batchAt(0); batch !== undefined; batch = this.batchAt(at)) {
        this.readBatch(batch)
        at = batch.end
      }
    } catch (error) {
      if (!this.isAhead(this.progress)) throw error
      return at
    }
    // Who went on there would get the same again, and again.
    if (at > 0 && !this.isAhead(this.progress))
      throw new MalformedError('corrupt', `a response to offset ${this.from} with records before it only`)
    return at
  }

  private batchAt(at: number): BatchHead | undefined {
    return batchAt(this.bytes, at, this.options.checksums ?? true)
  }

  private readBatch(batch: BatchHead): void {
    const isHidden = this.aborted.hide(batch)
    if (batch.isControl) {
      if (isAbort(this.bytes, batch)) this.aborted.end(batch)
    } else if (!isHidden && batch.last >= this.from) {
      this.readRecords(batch)
    }
    const next = Math.max(this.progress.next, batch.last + 1)
    this.progress = { next, leaderEpoch: batch.leaderEpoch }
  }

  private readRecords(batch: BatchHead): void {
    if (batch.compression === 0) {
      this.plain.add(batch, batch.start, batch.end, this.from)
    } else {
      this.endPlain()
      const records = this.unpacked(batch)
      // A batch behind it may end all this before anybody listens.
      if (records instanceof Promise) records.catch(() => undefined)
      this.parts.push({ records, before: this.progress })
    }
  }

  private endPlain(): void {
    if (this.plain.count > 0) this.parts.push({ records: this.plain.take(), before: this.progress })
  }

  private unpacked(batch: BatchHead): FetchedRecords | Promise<FetchedRecords> {
    const { compression, start, end } = batch
    const read = (bytes: Buffer) => {
      const gatherer = new RecordGatherer(bytes)
      gatherer.add(batch, 0, bytes.length, this.from)
      return gatherer.take()
    }
    const bytes = decompress(compression, this.bytes.subarray(start, end), this.options.maxBytes)
    return bytes instanceof Promise ? bytes.then(read) : read(bytes)
  }

  private async decompressed(): Promise<DecodedRecords> {
    // All of them, so that none fails with nobody listening.
    const settled = await Promise.allSettled(this.parts.map(async ({ records }) => records))
    const whole: FetchedRecords[] = []
    for (const [index, part] of settled.entries()) {
      const { before } = this.parts[index]!
      if (part.status === 'fulfilled') whole.push(part.value)
      else if (this.isAhead(before)) return this.decoded(whole, before)
      else throw part.reason
    }
    return this.decoded(whole, this.progress)
  }

  private isAhead({ next }: Progress): boolean {
    return next > this.from
  }
}
