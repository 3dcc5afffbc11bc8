import { map, type Observable, of } from 'rxjs'
import {
  type AcquiredPartition,
  type HeldPartition,
  type PartitionCommit,
  PartitionMap,
  type PartitionProgress,
  type Position,
  type TopicFacts,
  type TopicPartition,
} from '../model/index.js'
import type { TaskStores } from '../state/index.js'

/** In place of the id of a topic that has taken the place of another: there is none. */
const nobody = 'nobody reads it'

/**
 * What is left of partitions that a topic no longer has, for it was created again with fewer, or of a topic that is read no
 * longer: partial results of windows that are still open. Who has the first partition of the topic, or else of the first one that
 * is read, takes it over, and so fences off whoever had it; sends it on with the next epoch, as if those partitions were idle;
 * and commits with that that this is done. Until then windows wait (docs/adr/0023). State and positions stay, should the
 * partitions come back.
 */
export class Inheritance {
  /** Whether what is left has to be looked for before the next epoch. */
  isDue = false
  private readonly left = new PartitionMap<AcquiredPartition>()
  /** The topics that took the place of others, and whose first partition is here. */
  private readonly now = new Map<string, TopicFacts>()
  /** The topics that are read no longer; and whether the first partition of the first that is read is here. */
  private forgotten: ReadonlySet<string> = new Set()
  private isFirst = false

  constructor(
    /** Tells what is kept of the task; undefined where it keeps nothing that has to be sent on. */
    private readonly held: (() => Observable<readonly HeldPartition[]>) | undefined,
    /** The first topic that is read. */
    private readonly first?: string,
  ) {}

  get isEmpty(): boolean {
    return this.left.size === 0
  }

  /** These topics are kept of the task, and read no longer. */
  leave(topics: Iterable<string>): void {
    this.forgotten = new Set(topics)
  }

  /** Reading begins at these positions; `before` is what was committed of a partition. */
  begin(positions: readonly Position[], before: (at: TopicPartition) => PartitionProgress | undefined): void {
    if (this.held === undefined) return
    this.isFirst = positions.some(({ topic, partition }) => topic === this.first && partition === 0)
    for (const { topic, partition, facts } of positions) {
      if (partition !== 0 || facts?.id === undefined) continue
      const isAnother = (facts.before ?? 0) > 0 || facts.id !== before({ topic, partition })?.facts?.id
      if (isAnother && this.now.get(topic)?.id !== facts.id) this.now.set(topic, facts)
    }
    this.again()
  }

  /** An epoch has failed, and with it what was sent on. */
  again(): void {
    this.isDue = this.now.size > 0 || (this.isFirst && this.forgotten.size > 0)
  }

  /** What is left besides the partitions that are here. */
  find(own: readonly TopicPartition[]): Observable<readonly TopicPartition[]> {
    if (this.held === undefined) return of([])
    const here = new PartitionMap<true>()
    for (const { topic, partition } of own) here.set(topic, partition, true)
    const isElsewhere = ({ topic, partition }: TopicPartition) => here.get(topic, partition) === undefined
    return this.held().pipe(map((all) => all.filter((one) => isElsewhere(one) && this.isLeft(one))))
  }

  isForgotten({ topic }: TopicPartition): boolean {
    return this.forgotten.has(topic)
  }

  /** Takes over a partition. Returns false where somebody else has sent on meanwhile what was left of it. */
  take(acquired: AcquiredPartition): boolean {
    if (!this.isLeft(acquired)) return false
    this.left.set(acquired.topic, acquired.partition, acquired)
    return true
  }

  /** What is committed with the epoch that has sent it on. */
  commits(stores: TaskStores): PartitionCommit[] {
    return [...this.left.values()].map(({ topic, partition, progress = { position: 0 } }) => {
      const { position: offset, ...kept } = progress
      return stores.commit({ topic, partition, offset }, { ...kept, sentOnFor: this.now.get(topic)?.id ?? nobody })
    })
  }

  /** The epoch is committed. Returns what is over with it. */
  done(): readonly TopicPartition[] {
    this.now.clear()
    if (this.isFirst) this.leave([])
    return this.letGo()
  }

  /** Partitions are given up, and with the first of a topic what was left of it. */
  forget(partitions: readonly TopicPartition[]): readonly TopicPartition[] {
    const topics = new Set(partitions.filter(({ partition }) => partition === 0).map(({ topic }) => topic))
    for (const topic of topics) this.now.delete(topic)
    if (this.first === undefined || !topics.has(this.first)) return this.letGo(topics)
    this.isFirst = false
    return this.letGo(new Set([...topics, ...this.forgotten]))
  }

  /** Lets go of what is here of these topics. */
  letGo(
    topics: ReadonlySet<string> = new Set([...this.left.entries()].map(([{ topic }]) => topic)),
  ): readonly TopicPartition[] {
    const over = [...this.left.entries()].map(([partition]) => partition).filter(({ topic }) => topics.has(topic))
    for (const { topic, partition } of over) this.left.delete(topic, partition)
    return over
  }

  private isLeft({ topic, partition, progress }: Pick<AcquiredPartition, keyof TopicPartition | 'progress'>): boolean {
    if (this.isForgotten({ topic, partition }))
      return this.isFirst && progress !== undefined && progress.sentOnFor !== nobody
    const { id, partitions } = this.now.get(topic) ?? { partitions: Number.POSITIVE_INFINITY }
    return partition >= partitions && progress?.facts?.id !== id && progress?.sentOnFor !== id
  }
}
