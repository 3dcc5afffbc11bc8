import { Packr } from 'msgpackr'
import {
  type CodecVersion,
  messageOf,
  partitionName,
  type StoreKey,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { PartitionStore, StoredEntry } from './partition-store.js'

const format = 1
const maxChunkBytes = 1 << 20
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'number' })

/** One store's part of a chunk. Removals come first: what is put again after them stays. */
type Section = [
  store: string,
  codecVersion: CodecVersion,
  dropped: readonly number[],
  deleted: readonly (readonly [number, StoreKey])[],
  whole: Line[],
  changed: Line[],
]
type Line = [segment: number, key: StoreKey, saved: unknown]

/** What one commit adds to the log of a partition. */
export interface Append {
  readonly chunks: Uint8Array[]
  readonly truncateBefore: number | undefined
}

/**
 * The log of one partition's stores: a chunk for each epoch that changed something, and no snapshots. Besides the
 * changes, a chunk carries the next entries of a walk round all stores, about as many bytes as the changes; when the
 * walk has come round, every entry is in the log since it began, and what was written before is obsolete. So the log
 * stays within a small multiple of the live state, and no commit ever pauses for all of it.
 */
export class Changelog {
  private walk: Generator<StoredEntry<unknown>> | undefined
  private walkOwner: PartitionStore<unknown> | undefined
  private walkBegan: number

  constructor(
    private readonly stores: readonly PartitionStore<unknown>[],
    sequence: number,
  ) {
    this.walkBegan = sequence + 1
  }

  /** Packs what changed. It may only be called once for a state: what it packed counts as committed. */
  append(sequence: number): Append {
    const sections = this.stores.map((store) => changesOf(store, sequence))
    const changedBytes = sections.reduce((bytes, section) => bytes + sectionBytes(section), 0)
    if (changedBytes === 0) return { chunks: [], truncateBefore: undefined }
    const cameRound = this.rewrite(sections, sequence, changedBytes)
    const chunks = sections.filter((section) => sectionBytes(section) > 0).flatMap(packSection)
    return { chunks, truncateBefore: cameRound }
  }

  /** Adds entries that were not saved since the walk began. Returns from where on the log suffices, once round. */
  private rewrite(sections: Section[], sequence: number, budget: number): number | undefined {
    this.walk ??= this.round()
    let bytes = 0
    while (bytes < budget) {
      const next = this.walk.next()
      if (next.done === true) {
        const began = this.walkBegan
        this.walk = undefined
        this.walkBegan = sequence + 1
        return began
      }
      const entry = next.value
      const owner = this.walkOwner
      if (owner === undefined || entry.savedAt >= this.walkBegan) continue
      const line: Line = [entry.segment, entry.key, owner.codec.save(entry.value)]
      entry.savedAt = sequence
      sections[this.stores.indexOf(owner)]?.[4].push(line)
      bytes += sizeOf(line)
    }
    return undefined
  }

  private *round(): Generator<StoredEntry<unknown>> {
    for (const store of this.stores) {
      this.walkOwner = store
      yield* store.entries()
    }
  }
}

function changesOf(store: PartitionStore<unknown>, sequence: number): Section {
  const { codec } = store
  const { dropped, deleted, touched } = store.takeChanges()
  const section: Section = [store.name, codec.version, dropped, deleted, [], []]
  for (const entry of touched) {
    if (codec.changes !== undefined && entry.savedAt > 0) {
      section[5].push([entry.segment, entry.key, codec.changes(entry.value)])
    } else {
      section[4].push([entry.segment, entry.key, codec.save(entry.value)])
      entry.savedAt = sequence
    }
  }
  return section
}

/** Restores what a chunk tells into the stores it names. Errors: WEIR_CHECKPOINT_CORRUPT, whatever is wrong with it. */
export function applyChunk(
  stores: ReadonlyMap<string, PartitionStore<unknown>>,
  sequence: number,
  bytes: Uint8Array,
  partition: TopicPartition,
): void {
  try {
    const [version, section] = packr.unpack(bytes) as [number, Section]
    if (version !== format) throw new TypeError(`format ${version} is not known`)
    const store = stores.get(section[0])
    if (store === undefined) throw new TypeError(`it holds the store '${section[0]}', which the flow does not have`)
    applySection(store, section, sequence)
  } catch (cause) {
    throw new WeirError(
      'WEIR_CHECKPOINT_CORRUPT',
      `restoring the state of ${partitionName(partition)}: ${messageOf(cause)}`,
      {
        partition,
        hint: 'Run the version of the flow that wrote it, or delete the checkpoints of this flow to begin anew.',
        cause,
      },
    )
  }
}

function applySection(store: PartitionStore<unknown>, section: Section, sequence: number): void {
  const [, codecVersion, dropped, deleted, whole, changed] = section
  for (const segment of dropped) store.forgetSegment(segment)
  for (const [segment, key] of deleted) store.forget(segment, key)
  // A change comes before the whole only where the whole is still to come in a later chunk: it includes the change.
  for (const [segment, key, saved] of changed) {
    const entry = store.get(segment, key)
    if (entry !== undefined && store.codec.apply !== undefined) entry.value = store.codec.apply(entry.value, saved)
  }
  for (const [segment, key, saved] of whole) {
    store.restore(segment, key, store.codec.load(saved, codecVersion), sequence)
  }
}

/** Packs a section, in halves where it would make too large a chunk; all changes come before any whole value. */
function packSection(section: Section): Uint8Array[] {
  const bytes = packr.pack([format, section])
  const [store, version, dropped, deleted, whole, changed] = section
  if (bytes.length <= maxChunkBytes || whole.length + changed.length < 2) return [bytes]
  const [head, tail] = changed.length > 0 && whole.length > 0 ? [[], whole] : halves(whole)
  const [changedHead, changedTail] = head.length === 0 && whole.length > 0 ? [changed, []] : halves(changed)
  return [
    ...packSection([store, version, dropped, deleted, head, changedHead]),
    ...packSection([store, version, [], [], tail, changedTail]),
  ]
}

function halves<T>(items: T[]): [T[], T[]] {
  const middle = items.length >> 1
  return [items.slice(0, middle), items.slice(middle)]
}

function sectionBytes([, , dropped, deleted, whole, changed]: Section): number {
  return sizeOf(dropped) + sizeOf(deleted) + sizeOf(whole) + sizeOf(changed)
}

/** About how many bytes a value takes when packed. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 1
  if (value instanceof Uint8Array) return value.length + 2
  if (Array.isArray(value)) return value.reduce<number>((size, item) => size + sizeOf(item), value.length > 0 ? 1 : 0)
  if (typeof value === 'object' && value !== null) return 1 + sizeOf(Object.entries(value).flat())
  return 5
}
