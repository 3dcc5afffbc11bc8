import {
  type CodecVersion,
  keyText,
  messageOf,
  partitionName,
  type StoreKey,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { StoredEntry } from './log-span.js'
import { packedSizeOf, packTagged, sizeOf, unpack } from './packing.js'
import type { PartitionStore } from './partition-store.js'
import { piecesOf } from './pieces.js'
import { DatedEntry } from './recency.js'

const formats = { section: 1, piece: 2 } as const
/** With what is written beside it a chunk stays below what brokers take as they come, 1 MiB. */
const maxChunkBytes = 1_000_000

/** Of a bounded store it also says how the entry was last touched. */
export type Line = [segment: number, key: StoreKey, saved: unknown, touchedAt?: number, turn?: number]

export function lineOf(entry: StoredEntry<unknown>, saved: unknown): Line {
  const { segment, key } = entry
  return entry instanceof DatedEntry ? [segment, key, saved, entry.touchedAt, entry.turn] : [segment, key, saved]
}

/** One store's part of a chunk. Removals come first: what is put again after them stays. */
export type Section = [
  store: string,
  codecVersion: CodecVersion,
  dropped: readonly number[],
  deleted: readonly (readonly [number, StoreKey])[],
  whole: Line[],
  changed: Line[],
]

export function isEmpty([, , ...lists]: Section): boolean {
  return lists.every(({ length }) => length === 0)
}

/**
 * Packs a section, in halves where it would make too large a chunk: removals, then all changes, then whole values. What
 * is too large by itself is cut into pieces, which follow each other in the log.
 */
export function packSection(section: Section): Uint8Array[] {
  const bytes = packTagged([formats.section, section])
  const [store, version, dropped, deleted, whole, changed] = section
  const lines = whole.length + changed.length
  if (bytes.length <= maxChunkBytes) return [bytes]
  if (deleted.length + lines < 2) {
    const pieces = piecesOf(bytes, maxChunkBytes)
    return pieces.map((piece, index) => packTagged([formats.piece, index, pieces.length, piece]))
  }
  if (deleted.length > 0) {
    const [gone, goneToo] = lines > 0 ? [deleted, []] : halves(deleted)
    return [
      ...packSection([store, version, dropped, gone, [], []]),
      ...packSection([store, version, [], goneToo, whole, changed]),
    ]
  }
  const [head, tail] = changed.length > 0 && whole.length > 0 ? [[], whole] : halves(whole)
  const [changedHead, changedTail] = head.length === 0 && whole.length > 0 ? [changed, []] : halves(changed)
  return [
    ...packSection([store, version, dropped, [], head, changedHead]),
    ...packSection([store, version, [], [], tail, changedTail]),
  ]
}

type Chunk = [typeof formats.section, unknown] | [typeof formats.piece, number, number, Uint8Array]

/** Reads the chunks of a log, one after another. */
export class ChunkReader {
  private pieces: Uint8Array[] = []

  /**
   * The section that a chunk holds, or completes; undefined where more of it is to come.
   * Errors: a `TypeError`, or what msgpackr finds, when it is no chunk, or a piece is missing.
   */
  next(bytes: Uint8Array): Section | undefined {
    const chunk = unpack(bytes) as Chunk
    const pieces = this.pieces
    this.pieces = []
    if (chunk[0] === formats.section && pieces.length === 0) return sectionOf(chunk[1])
    if (chunk[0] !== formats.piece) throw new TypeError(`format ${String(chunk[0])} is not known here`)
    const [, index, count, piece] = chunk
    if (index !== pieces.length) throw new TypeError(`piece ${index} of ${count} follows ${pieces.length} others`)
    pieces.push(piece)
    if (pieces.length === count) return this.next(Buffer.concat(pieces))
    this.pieces = pieces
    return undefined
  }
}

function sectionOf(section: unknown): Section {
  if (!isSection(section)) throw new TypeError('it is no section of a store')
  return section
}

function isSection(section: unknown): section is Section {
  return Array.isArray(section) && typeof section[0] === 'string' && section.slice(2).filter(Array.isArray).length === 4
}

/** Puts back what a section tells; `hold` hears of each whole value, and how much of the log it takes. */
export function applySection(
  store: PartitionStore<unknown>,
  section: Section,
  hold: (entry: StoredEntry<unknown>, bytes: number) => void = () => undefined,
): void {
  const { codec } = store
  const [, codecVersion, dropped, deleted, whole, changed] = section
  for (const segment of dropped) store.forgetSegment(segment)
  for (const [segment, key] of deleted) store.forget(segment, key)
  // A change comes before the whole only where the whole is still to come in a later chunk: it includes the change.
  for (const line of changed) {
    const [segment, key, saved] = line
    const entry = store.get(segment, key)
    if (entry === undefined) continue
    if (codec.apply === undefined)
      throw new TypeError(`it holds changes, which the codec of '${store.name}' can't apply`)
    try {
      entry.value = codec.apply(entry.value, saved, codecVersion)
    } catch (cause) {
      throw codecError(store, key, cause)
    }
    entry.span?.change(entry, packedSizeOf(line), codec.size?.(entry.value))
    store.redate(entry, line[3], line[4])
  }
  for (const line of whole) {
    const [segment, key, saved, touchedAt, turn] = line
    let value: unknown
    try {
      value = codec.load(saved, codecVersion)
    } catch (cause) {
      throw codecError(store, key, cause)
    }
    hold(store.restore(segment, key, value, touchedAt, turn), packedSizeOf(line))
  }
}

function codecError({ name }: PartitionStore<unknown>, key: StoreKey, cause: unknown): TypeError {
  return new TypeError(`the codec of '${name}' throws at key ${keyText(key)}: ${messageOf(cause)}`, { cause })
}

/** What reading a chunk fails with, whatever is wrong with it. */
export function corruptError(partition: TopicPartition, cause: unknown): WeirError {
  const message = `restoring the state of ${partitionName(partition)}: ${messageOf(cause)}`
  const hint = 'Run the version of the flow that wrote it, or delete the checkpoints of this flow to begin anew.'
  return new WeirError('WEIR_CHECKPOINT_CORRUPT', message, { partition, hint, cause })
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  const middle = items.length >> 1
  return [items.slice(0, middle), items.slice(middle)]
}

export function sectionBytes([, , dropped, deleted, whole, changed]: Section): number {
  return sizeOf(dropped) + sizeOf(deleted) + sizeOf(whole) + sizeOf(changed)
}
