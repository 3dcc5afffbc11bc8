import {
  type AssignmentChange,
  PartitionMap,
  type PartitionProgress,
  type Position,
  partitionName,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { Inputs } from './inputs.js'

/** A change, and the input that it is of. */
interface Wanted {
  readonly change: AssignmentChange
  readonly input: number
}

/** What the last commit said of a partition; undefined where nothing was committed yet. */
interface Known {
  readonly progress: PartitionProgress | undefined
  /** Where reading began elsewhere, which has no commit yet: what that was decided over. */
  readonly decidedOver?: { readonly progress: PartitionProgress | undefined }
}

/** The partitions of a task, what was committed of each, and the changes that the group still wants. */
export class Assignment {
  private readonly committed = new PartitionMap<Known>()
  private readonly changes: Wanted[] = []
  private wasWhole = false

  constructor(private readonly inputs: Inputs) {}

  want(change: AssignmentChange, input: number): void {
    this.changes.push({ change, input })
  }

  /** The next change to carry out; it stays the next one until it is `settled`. */
  next(): Wanted | undefined {
    return this.changes[0]
  }

  settled(): void {
    this.changes.shift()
  }

  /** A decision on where to begin outlives an epoch that fails, as long as nobody has committed meanwhile. */
  add({ topic, partition }: TopicPartition, progress: PartitionProgress | undefined): void {
    const known = this.committed.get(topic, partition)
    const over = known?.decidedOver
    const isStill = over !== undefined && (progress === known?.progress || isSame(over.progress, progress))
    const decided = { ...progress, position: known?.progress?.position ?? 0, facts: known?.progress?.facts }
    this.committed.set(topic, partition, isStill ? { ...known, progress: decided } : { progress })
    if (this.isWhole) this.wasWhole = true
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.committed.delete(topic, partition)
  }

  /** Forgets everything: the task connects anew. */
  clear(): void {
    this.committed.clear()
    this.inputs.clear()
    this.changes.length = 0
    this.wasWhole = false
  }

  commit({ topic, partition }: TopicPartition, progress: PartitionProgress): void {
    if (this.has(topic, partition)) this.committed.set(topic, partition, { progress })
  }

  /** Where reading begins, of which a partition that was never committed, or goes on elsewhere, has no commit yet. */
  base({ topic, partition, offset, facts }: Position): void {
    if (!this.has(topic, partition)) return
    const known = this.progressOf({ topic, partition })
    if (known?.position === offset && known.facts?.id === facts?.id) return
    const progress = { ...known, position: offset, facts }
    this.committed.set(topic, partition, { progress, decidedOver: { progress: known } })
  }

  /** Whether these positions are what was committed last; one that was only decided on is not. */
  isUnchanged(positions: readonly Position[]): boolean {
    return positions.every(({ topic, partition, offset }) => {
      const known = this.committed.get(topic, partition)
      return known?.decidedOver === undefined && known?.progress?.position === offset
    })
  }

  has(topic: string, partition: number): boolean {
    return this.committed.get(topic, partition) !== undefined
  }

  progressOf({ topic, partition }: TopicPartition): PartitionProgress | undefined {
    return this.committed.get(topic, partition)?.progress
  }

  get partitions(): TopicPartition[] {
    return [...this.committed.entries()].map(([partition]) => partition)
  }

  get isEmpty(): boolean {
    return this.committed.size === 0
  }

  /** Whether all partitions of the topics are here. */
  get isWhole(): boolean {
    return this.inputs.areAll(this.partitions)
  }

  /**
   * How long to wait for the missing partitions, ms: a task that had them all may only be in the midst of a rebalance, and
   * an input that has not had its first assignment may still get all of its own.
   */
  get patienceMs(): number {
    if (this.inputs.total === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return this.wasWhole ? 60_000 : 5_000
  }

  /** Where an input has to go back to after a failure; partitions that were never committed are left out. */
  committedPositions(input: number): Position[] {
    return [...this.committed.entries()].flatMap(([{ topic, partition }, { progress }]) =>
      progress === undefined || this.inputs.of(topic) !== input
        ? []
        : [{ topic, partition, offset: progress.position, facts: progress.facts }],
    )
  }

  partialError(): WeirError {
    const held = this.partitions.map(partitionName).join(', ')
    return new WeirError(
      'WEIR_TOPOLOGY_PARTIAL_ASSIGNMENT',
      `aggregating a whole topic: this process was assigned ${this.committed.size} of ${this.inputs.total} partitions (${held})`,
      { hint: 'Run one process of this flow: another member of its consumer group holds the rest.' },
    )
  }
}

function isSame(one: PartitionProgress | undefined, other: PartitionProgress | undefined): boolean {
  return one?.position === other?.position && one?.facts?.id === other?.facts?.id
}
