import { isWeirError, keyText, messageOf, type StoreKey, type TopicPartition, WeirError } from '../model/index.js'
import {
  applySection,
  ChunkReader,
  corruptError,
  isEmpty,
  type Line,
  lineOf,
  packSection,
  type Section,
  sectionBytes,
} from './chunk.js'
import { LogSpan, type StoredEntry } from './log-span.js'
import { sizeOf, tagged } from './packing.js'
import type { PartitionChanges, PartitionStore } from './partition-store.js'

/** How many times the live state the log may be. Rewriting begins so early, and goes so fast, that it never has to be more. */
const aim = 2.7
/** Where what is alive has shrunk all at once (a window closed), as much is rewritten at once as keeps the log below this. */
const limit = 2.9
/** Bytes rewritten for each byte of changes: with less to do it waits, and in haste it does no more. */
const pace = { least: 2, most: 4 }
/** Spans are about this part of the live state: the finer, the sooner the log is truncated. */
const finest = 1 / 64

/** What one commit adds to the log of a partition. */
export interface Append {
  readonly chunks: Uint8Array[]
  readonly truncateBefore: number | undefined
}

/**
 * The log of one partition's stores: a chunk for each epoch that changed something, and no snapshots. The log is a row
 * of spans, each of which knows the entries whose last whole value lies in it; where no entry's does, the span and all
 * before it is obsolete. An entry that changes moves to the last span by itself. For those that don't, chunks carry,
 * besides the changes, the entries of the first span, written again, as many as it takes to keep the log below three
 * times the live state. So a log of which the old part dies by itself, as windows do, is hardly ever written twice, and
 * no commit pauses for all of the state.
 */
export class Changelog {
  private readonly spans: LogSpan[] = []
  private logBytes = 0
  private sequence = 0
  /** There is nothing in the log before this. */
  private truncatedBefore = 0
  private readonly reader = new ChunkReader()

  constructor(private readonly stores: readonly PartitionStore<unknown>[]) {}

  /** Packs what changed. It may only be called once for a state: what it packed counts as committed. */
  append(sequence: number): Append {
    const changes = this.stores.map((store) => store.takeChanges())
    if (changes.every(hasNothing)) return { chunks: [], truncateBefore: undefined }
    const span = this.open(sequence)
    const before = this.logBytes
    const sections = changes.map((changed, index) => this.section(index, changed, span))
    const changedBytes = this.logBytes - before
    this.dropObsolete()
    this.rewrite(sections, span, this.budget(changedBytes))
    const chunks = sections.filter((section) => !isEmpty(section)).flatMap(packSection)
    return { chunks, truncateBefore: this.truncation() }
  }

  /**
   * Puts a chunk of the log back, into the store that it names.
   * Errors: WEIR_CHECKPOINT_CORRUPT, whatever is wrong with it.
   */
  restore(
    sequence: number,
    bytes: Uint8Array,
    partition: TopicPartition,
    storeOf: (name: string) => PartitionStore<unknown>,
  ): void {
    try {
      const section = this.reader.next(bytes)
      if (section === undefined) return
      const store = storeOf(section[0])
      const index = this.stores.indexOf(store)
      const span = this.open(sequence)
      // What nobody declared need not be kept.
      applySection(store, section, index < 0 ? undefined : (entry, size) => span.hold(index, entry, size))
      this.count(span, sectionBytes(section))
    } catch (cause) {
      throw corruptError(partition, cause)
    }
  }

  /** The span that a chunk of this sequence belongs to. */
  private open(sequence: number): LogSpan {
    const last = this.spans.at(-1)
    const isSame = sequence === this.sequence
    this.sequence = sequence
    if (last !== undefined && (isSame || last.logBytes < this.liveBytes() * finest)) return last
    if (last === undefined) this.truncatedBefore = sequence
    const span = new LogSpan(sequence)
    this.spans.push(span)
    return span
  }

  private section(index: number, { dropped, deleted, touched }: PartitionChanges<unknown>, span: LogSpan): Section {
    const { name, codec } = this.stores[index] as PartitionStore<unknown>
    const section: Section = [name, codec.version, dropped, tagged(deleted) as typeof deleted, [], []]
    this.count(span, sectionBytes(section))
    for (const entry of touched) {
      if (codec.changes !== undefined && entry.span !== undefined) {
        let line = lineOf(entry, this.saved(index, entry, 'changes'))
        let size = sizeOf(line)
        if (Number.isNaN(size)) size = sizeOf((line = this.keepable(line, index)))
        entry.span.change(entry, size, codec.size?.(entry.value))
        // Many changes of a value that does not grow would outweigh it: then all of it is written anew.
        if (entry.writtenBytes <= 2 * entry.liveBytes) {
          section[5].push(line)
          this.count(span, size)
          continue
        }
      }
      this.write(section, index, entry, span)
    }
    return section
  }

  /**
   * How much to rewrite beside so many bytes of changes. For the log to be within its aim by the time that the first
   * spans, up to any one, have been rewritten and dropped, what is alive in them has to be written before the changes
   * fill the room that is left.
   */
  private budget(changedBytes: number): number {
    const room = aim * this.liveBytes() - this.logBytes
    let [alive, dropped, rate] = [0, 0, 0]
    for (const span of this.spans.slice(0, -1)) {
      alive += span.liveBytes
      const left = room + dropped - alive
      rate = Math.max(rate, left > 0 ? alive / left : pace.most)
      dropped += span.logBytes
    }
    return rate < pace.least ? 0 : Math.min(rate, pace.most) * changedBytes
  }

  /** Writes so many bytes of the oldest entries again, into this span, and drops the spans that they leave. */
  private rewrite(sections: Section[], span: LogSpan, budget: number): void {
    let live = this.liveBytes()
    let bytes = 0
    while (this.spans[0] !== span && (bytes < budget || this.logBytes > limit * live)) {
      const [index, entry] = this.spans[0]?.next() ?? []
      if (index !== undefined && entry !== undefined) {
        live -= entry.liveBytes
        const size = this.write(sections[index] as Section, index, entry, span)
        live += size
        bytes += size
      }
      this.dropObsolete()
    }
  }

  /** Writes the whole value of an entry into this span. Returns how many bytes that takes. */
  private write(section: Section, index: number, entry: StoredEntry<unknown>, span: LogSpan): number {
    let line = lineOf(entry, this.saved(index, entry, 'save'))
    let size = sizeOf(line)
    if (Number.isNaN(size)) size = sizeOf((line = this.keepable(line, index)))
    section[4].push(line)
    span.hold(index, entry, size)
    this.count(span, size)
    return size
  }

  /** What the codec makes of a value. Errors: WEIR_STAGE_FAILED, where it throws. */
  private saved(index: number, { key, value }: StoredEntry<unknown>, by: 'save' | 'changes'): unknown {
    const store = this.stores[index] as PartitionStore<unknown>
    try {
      return store.codec[by]?.(value)
    } catch (error) {
      throw unkeepable(store, key, error)
    }
  }

  /** A line in a form that can be packed. Errors: WEIR_STAGE_FAILED, where what the stage keeps would not come back. */
  private keepable(line: Line, index: number): Line {
    try {
      return line.map((part) => tagged(part)) as Line
    } catch (error) {
      const store = this.stores[index] as PartitionStore<unknown>
      throw unkeepable(store, line[1], store.codec.unkept?.(error) ?? error)
    }
  }

  private dropObsolete(): void {
    while (this.spans.length > 1 && this.spans[0]?.liveBytes === 0) {
      this.logBytes -= this.spans[0].logBytes
      this.spans.shift()
    }
  }

  /** From where on the log suffices, when that has moved. */
  private truncation(): number | undefined {
    const from = this.spans[0]?.from ?? 0
    if (from <= this.truncatedBefore) return undefined
    this.truncatedBefore = from
    return from
  }

  private count(span: LogSpan, bytes: number): void {
    span.logBytes += bytes
    this.logBytes += bytes
  }

  private liveBytes(): number {
    let bytes = 0
    for (const span of this.spans) bytes += span.liveBytes
    return bytes
  }
}

function unkeepable({ name, partition }: PartitionStore<unknown>, key: StoreKey, cause: unknown): WeirError {
  const { hint = plainHint, atOnce = false, place: { stage = name } = {} } = isWeirError(cause) ? cause : {}
  return new WeirError(
    'WEIR_STAGE_FAILED',
    `keeping the state of '${name}' at key ${keyText(key)}: ${messageOf(cause)}`,
    {
      stage,
      partition,
      cause,
      hint,
      atOnce,
    },
  )
}

const plainHint =
  'Keep plain data (objects, arrays, Map, Set, Date, bigint, bytes), or give it a codec that makes such of it.'

function hasNothing({ dropped, deleted, touched }: PartitionChanges<unknown>): boolean {
  return dropped.length === 0 && deleted.length === 0 && touched.length === 0
}
