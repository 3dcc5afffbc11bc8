import type { AcquiredPartition, HeldPartition, TopicPartition } from '../../model/index.js'
import type { Belonging, Committed, Entry } from './entry.js'

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
