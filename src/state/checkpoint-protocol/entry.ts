import type { PartitionCommit, PartitionProgress, TopicPartition } from '../../model/index.js'

/**
 * The log of one source partition is one partition of a topic of its own, which the source topic and the task name. Its
 * entries' keys are JSON, and the bytes of chunks are values:
 *
 *   acquired    a task took the partition over, if the generation is the next one: the first such entry counts
 *   released    the owner gave it back, and will write nothing more of that generation
 *   chunk       part of a chunk of the stores; the last part says so
 *   committed   the end of an epoch: where it stands
 *
 * `chunk` and `committed` are written in the transaction of the epoch, the others at once.
 */
export type Entry =
  | (Belonging & {
      readonly kind: 'acquired'
      readonly generation: number
      readonly owner: string
      readonly token: string
    })
  | { readonly kind: 'released'; readonly generation: number }
  | { readonly kind: 'chunk'; readonly sequence: number; readonly isLast: boolean }
  | Committed

/** Whose log it is, which its name does not tell for sure. */
export interface Belonging {
  readonly task: string
  /** The source topic. */
  readonly topic: string
}

export interface Committed extends Belonging {
  readonly kind: 'committed'
  readonly generation: number
  /** The transactional id that wrote it. */
  readonly owner: string
  readonly progress: PartitionProgress
  readonly sequence: number
  /** All chunks of a lower sequence are obsolete. */
  readonly keptFrom: number
}

/** An entry for the log of a source partition, and the bytes that go with it. */
export interface NewEntry {
  readonly source: TopicPartition
  readonly entry: Entry
  readonly bytes: Uint8Array | null
}

/** An entry where it was read. */
export interface ReadEntry extends NewEntry {
  readonly offset: number
}

const format = 1
/** Below what brokers take by default, with room for the key. */
const maxPartBytes = 900_000

/** The key of an entry's message. */
export function encodeEntry(entry: Entry): string {
  return JSON.stringify({ format, ...entry })
}

/** Errors: a TypeError or SyntaxError where it is no entry. */
export function decodeEntry(key: string): Entry {
  const { format: found, ...entry } = JSON.parse(key) as Entry & { format: number }
  if (found === format) return entry
  throw new TypeError(`format ${found} is not known`)
}

/** What one partition's part of an epoch adds to its log. */
export function entriesOf(
  commit: PartitionCommit,
  { task, owner, keptFrom }: Pick<Committed, 'task' | 'owner' | 'keptFrom'>,
): NewEntry[] {
  const { topic, partition, generation, progress, sequence, chunks } = commit
  const source = { topic, partition }
  const parts = chunks.flatMap((chunk) =>
    partsOf(chunk).map((bytes, index, all): NewEntry => {
      return { source, entry: { kind: 'chunk', sequence, isLast: index === all.length - 1 }, bytes }
    }),
  )
  const entry = { kind: 'committed', task, topic, generation, owner, progress, sequence, keptFrom } as const
  return [...parts, { source, entry, bytes: null }]
}

function partsOf(chunk: Uint8Array): Uint8Array[] {
  // A copy: the caller may use its buffers again.
  const bytes = Buffer.from(chunk)
  const parts: Uint8Array[] = []
  for (let from = 0; from === 0 || from < bytes.length; from += maxPartBytes) {
    parts.push(bytes.subarray(from, from + maxPartBytes))
  }
  return parts
}
