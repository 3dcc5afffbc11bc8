import { Packr } from 'msgpackr'
import type { CodecVersion, StoreKey } from '../model/index.js'
import type { LogSpan } from './log-span.js'
import type { PartitionStore } from './partition-store.js'

const format = 1
const maxChunkBytes = 1 << 20
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'number' })

export type Line = [segment: number, key: StoreKey, saved: unknown]

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

/** Packs a section, in halves where it would make too large a chunk; all changes come before any whole value. */
export function packSection(section: Section): Uint8Array[] {
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

/** Errors: a `TypeError`, or what msgpackr finds, when it is no chunk. */
export function unpackSection(bytes: Uint8Array): Section {
  const [version, section] = packr.unpack(bytes) as [number, unknown]
  if (version !== format) throw new TypeError(`format ${version} is not known`)
  if (!isSection(section)) throw new TypeError('it is no section of a store')
  return section
}

function isSection(section: unknown): section is Section {
  return Array.isArray(section) && typeof section[0] === 'string' && section.slice(2).filter(Array.isArray).length === 4
}

/**
 * Puts back what a section tells, as read from this span of the log; `index` is the store's number there, or -1 for one
 * that nobody declared: it need not be kept.
 */
export function applySection(store: PartitionStore<unknown>, index: number, section: Section, span: LogSpan): void {
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
    entry.value = codec.apply(entry.value, saved, codecVersion)
    entry.changedBytes += sizeOf(line)
  }
  for (const line of whole) {
    const [segment, key, saved] = line
    const value = codec.load(saved, codecVersion)
    const entry = store.restore(segment, key, value)
    if (index >= 0) span.hold(index, entry, sizeOf(line))
  }
}

function halves<T>(items: T[]): [T[], T[]] {
  const middle = items.length >> 1
  return [items.slice(0, middle), items.slice(middle)]
}

export function sectionBytes([, , dropped, deleted, whole, changed]: Section): number {
  return sizeOf(dropped) + sizeOf(deleted) + sizeOf(whole) + sizeOf(changed)
}

/** About how many bytes a value takes when packed. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'number') return sizeOfNumber(value)
  if (typeof value === 'string') return value.length + 1
  if (Array.isArray(value)) {
    let size = 1
    for (const item of value) size += sizeOf(item)
    return size
  }
  if (value instanceof Uint8Array) return value.length + 2
  if (typeof value === 'object' && value !== null) return sizeOf(Object.entries(value).flat())
  return 1
}

function sizeOfNumber(value: number): number {
  if (!Number.isInteger(value)) return 9
  if (value >= -32 && value < 128) return 1
  const magnitude = Math.abs(value)
  return magnitude < 1 << 15 ? 3 : magnitude < 2 ** 31 ? 5 : 9
}
