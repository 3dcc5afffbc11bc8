import type {
  AcquiredPartition,
  HeldPartition,
  PartitionCommit,
  PartitionProgress,
  TopicPartition,
} from '../model/index.js'
import { WeirError } from '../model/index.js'
import type { Message } from './client.js'
import type { OutgoingMessage } from './producer.js'

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
interface Belonging {
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

const format = 1
/** Below what brokers take by default, with room for the key. */
const maxPartBytes = 900_000

/** Settings of the logs' topics: nothing goes but what is truncated, in steps small enough that it soon frees space. */
export const logConfig = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'segment.bytes': String(16 * 1024 * 1024),
}

export function logTopic(task: string, topic: string): string {
  return `${task}.${topic}.checkpoints`.replaceAll(
    /[^a-zA-Z0-9._-]/g,
    (char) => `_${char.codePointAt(0)?.toString(16)}`,
  )
}

/** The names of an app's logs, among those of other topics. */
export function isLogTopic(app: string, topic: string): boolean {
  const suffix = logTopic('', '').slice(1)
  return topic.startsWith(logTopic(app, '').slice(0, -suffix.length)) && topic.endsWith(suffix)
}

export function logPartition(task: string, { topic, partition }: TopicPartition): TopicPartition {
  return { topic: logTopic(task, topic), partition }
}

/** An entry as it goes to its log. */
export function outgoing(log: TopicPartition, entry: Entry, value: Buffer | null = null): OutgoingMessage {
  const key = JSON.stringify({ format, ...entry })
  return { topic: log.topic, partition: log.partition, key, value, timestamp: Date.now(), headers: [] }
}

/** An entry as it was read. Errors: WEIR_CHECKPOINT_CORRUPT. */
export function entryOf({ topic, partition, offset, key }: Message): Entry {
  try {
    const { format: found, ...entry } = JSON.parse(String(key)) as Entry & { format: number }
    if (found === format) return entry
    throw new TypeError(`format ${found} is not known`)
  } catch (cause) {
    throw new WeirError('WEIR_CHECKPOINT_CORRUPT', `reading checkpoints: ${topic}-${partition}@${offset} is no entry`, {
      hint: 'Another version, or something else, writes to this topic.',
      cause,
    })
  }
}

/** The messages of one partition's part of an epoch. */
export function messagesOf(
  log: TopicPartition,
  commit: PartitionCommit,
  { task, owner, keptFrom }: Pick<Committed, 'task' | 'owner' | 'keptFrom'>,
): OutgoingMessage[] {
  const { topic, generation, progress, sequence, chunks } = commit
  const parts = chunks.flatMap((chunk) =>
    splitChunk(chunk).map((part, index, all) =>
      outgoing(log, { kind: 'chunk', sequence, isLast: index === all.length - 1 }, part),
    ),
  )
  const committed = { kind: 'committed', task, topic, generation, owner, progress, sequence, keptFrom } as const
  return [...parts, outgoing(log, committed)]
}

function splitChunk(chunk: Uint8Array): Buffer[] {
  // A copy: the caller may use its buffers again.
  const bytes = Buffer.from(chunk)
  const parts: Buffer[] = []
  for (let from = 0; from === 0 || from < bytes.length; from += maxPartBytes) {
    parts.push(bytes.subarray(from, from + maxPartBytes))
  }
  return parts
}

/** What the entries of a log, read in order, come to. */
export class LogHead {
  /** Whose transactions have to be fenced off before anybody else takes the partition over. */
  owner: string | undefined
  committed: Committed | undefined
  /** Where `committed` was read. */
  committedAt = -1
  /** The tokens that were seen, and whether they won. */
  readonly tokens = new Map<string, boolean>()
  private generation: number | undefined
  private of: Belonging | undefined

  constructor(readonly source: TopicPartition) {}

  get next(): number {
    return (this.generation ?? 0) + 1
  }

  apply(entry: Entry, offset: number): void {
    if (entry.kind === 'acquired') this.acquire(entry)
    else if (entry.kind === 'released' && entry.generation === this.generation) this.owner = undefined
    else if (entry.kind === 'committed') {
      // Its transaction was not fenced off, so it counts, and says by itself what came before it.
      this.generation = entry.generation
      this.owner = entry.owner
      this.of = { task: entry.task, topic: entry.topic }
      this.committed = entry
      this.committedAt = offset
    }
  }

  /** As `list` tells it; undefined where nobody has acquired it yet. */
  asHeld(): HeldPartition | undefined {
    if (this.of === undefined || this.generation === undefined) return undefined
    return { ...this.asAcquired(), ...this.of }
  }

  asAcquired(): AcquiredPartition {
    const { topic, partition } = this.source
    const { committed, generation = 0 } = this
    return { topic, partition, generation, progress: committed?.progress, sequence: committed?.sequence ?? 0 }
  }

  private acquire({ generation, owner, token, task, topic }: Extract<Entry, { kind: 'acquired' }>): void {
    const won = this.generation === undefined || generation === this.next
    this.tokens.set(token, won)
    if (!won) return
    this.generation = generation
    this.owner = owner
    this.of = { task, topic }
  }
}
