import {
  type AcquiredPartition,
  type EpochCommit,
  type PartitionCommit,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import type { CheckpointServer } from './checkpoints.js'
import { type Cluster, type Fate, hash, type Outcome } from './cluster.js'
import type { Actor } from './world.js'

/** After this long the brokers abort what nobody has ended, ms. */
const timeoutMs = 60_000
/** How many partitions a topic of results has. */
const outputPartitions = 3

/** What was written by one producer between two commits. */
class Transaction implements Fate {
  readonly values: unknown[] = []
  outcome: Outcome = 'open'
  /** The partitions that it touches, and whether each was told the outcome. */
  readonly told = new Map<string, { readonly at: TopicPartition; isTold: boolean }>()

  tellsOf(partition: TopicPartition): Outcome {
    return this.told.get(partitionName(partition))?.isTold === true ? this.outcome : 'open'
  }
}

interface Registered {
  epoch: number
  /** The writes that were carried out: one that comes again is not. */
  readonly written: Set<number>
  transaction: Transaction | undefined
  /** The last transaction that has ended: a client ends one when nothing of it is on its way, so nothing may join it. */
  ended: number
}

/** Who speaks: a transactional id, and the epoch that it was given. */
export interface Speaker {
  readonly id: string
  readonly epoch: number
}

/** A write, both numbers counting up for each epoch of an id. */
export interface Write {
  readonly transaction: number
  readonly sequence: number
  readonly topic: string
  readonly values: readonly unknown[]
}

/**
 * The brokers' side of Kafka's transactions, with the logs of checkpoints: whoever has a transactional id last may write and
 * commit, and nothing else is asked of a commit. So to take a partition over is to fence off the id of its owner.
 */
export class TransactionServer {
  private readonly producers = new Map<string, Registered>()
  /** Whose id has to be fenced off before anybody else takes a partition over. */
  private readonly owners = new Map<string, string>()
  private readonly generations = new Map<string, number>()
  /** The topics that were written to. */
  private readonly outputs = new Set<string>()

  constructor(
    readonly cluster: Cluster,
    private readonly checkpoints: CheckpointServer,
  ) {}

  /** Gives the id to somebody: aborts what it has open, and refuses whoever had it before. Returns its epoch. */
  init(id: string): number {
    const known = this.producers.get(id)
    this.end(known, 'aborted')
    const epoch = (known?.epoch ?? 0) + 1
    this.producers.set(id, { epoch, written: new Set(), transaction: undefined, ended: 0 })
    return epoch
  }

  acquire(
    who: Actor,
    speaker: Speaker,
    task: string,
    partitions: readonly TopicPartition[],
  ): readonly AcquiredPartition[] {
    this.speaking(speaker)
    for (const owner of new Set(partitions.map((partition) => this.owners.get(keyOf(task, partition)))))
      if (owner !== undefined && owner !== speaker.id) this.fence(owner)
    const acquired = this.checkpoints.acquire(who, task, partitions)
    for (const partition of acquired) {
      this.owners.set(keyOf(task, partition), speaker.id)
      this.generations.set(keyOf(task, partition), partition.generation)
    }
    return acquired
  }

  /** The owner writes nothing more of that generation: nobody need fence it off. */
  release(task: string, partitions: readonly (TopicPartition & { readonly generation: number })[]): void {
    for (const partition of partitions) {
      const key = keyOf(task, partition)
      if (this.generations.get(key) === partition.generation) this.owners.delete(key)
    }
  }

  load(task: string, partition: TopicPartition): readonly StoredChunk[] {
    return this.checkpoints.load(task, partition)
  }

  /** Writes values that nobody sees before the commit, each by its content to a partition of the topic. */
  write(speaker: Speaker, { transaction: number, sequence, topic, values }: Write): void {
    const producer = this.speaking(speaker)
    if (producer.written.has(sequence) || number <= producer.ended) return
    producer.written.add(sequence)
    const transaction = this.open(producer)
    this.outputs.add(topic)
    this.cluster.topic(topic, outputPartitions)
    for (const value of values) {
      const at = { topic, partition: hash(JSON.stringify(value)) % outputPartitions }
      transaction.told.set(partitionName(at), { at, isTold: false })
      transaction.values.push(value)
      const message = { key: null, value, timestamp: this.cluster.world.now, headers: [] }
      this.cluster.append(at.topic, at.partition, message, transaction)
    }
  }

  /** Ends the transaction: positions, state and values count, or none of them. */
  commit(who: Actor, speaker: Speaker, number: number, commit: EpochCommit): void {
    const { world, link } = this.cluster
    const producer = this.speaking(speaker)
    const { values } = this.open(producer)
    producer.ended = number
    if (world.random.chance(link.weather.loss / 4)) {
      this.end(producer, 'aborted')
      throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'committing: the brokers have aborted the transaction')
    }
    const partitions = commit.partitions.map((partition) => this.asIs(commit, partition))
    this.checkpoints.commit(who, { ...commit, partitions }, values)
    this.end(producer, 'committed')
  }

  abort(speaker: Speaker, number: number): void {
    const producer = this.speaking(speaker)
    producer.ended = number
    this.end(producer, 'aborted')
  }

  get hasOpen(): boolean {
    return [...this.producers.values()].some(({ transaction }) => transaction !== undefined)
  }

  /** All values that are committed, as a reader sees them that waits for that. */
  committed(): readonly unknown[] {
    return this.cluster
      .partitionsOf([...this.outputs])
      .flatMap((partition) => this.cluster.readCommitted(partition))
      .map(({ value }) => value)
  }

  private fence(id: string): void {
    this.init(id)
  }

  /** Errors: fenced when somebody else has the id since. */
  private speaking({ id, epoch }: Speaker): Registered {
    const producer = this.producers.get(id)
    if (producer !== undefined && producer.epoch <= epoch) return producer
    throw new WeirError('WEIR_CHECKPOINT_FENCED', `writing as '${id}': there is a newer instance of this producer`)
  }

  private open(producer: Registered): Transaction {
    if (producer.transaction !== undefined) return producer.transaction
    const transaction = new Transaction()
    producer.transaction = transaction
    this.cluster.world.servers.after(timeoutMs, () => {
      if (producer.transaction !== transaction) return
      producer.epoch++
      this.end(producer, 'aborted')
    })
    return transaction
  }

  /** The outcome is decided at once, and each partition is told in its own time. */
  private end(producer: Registered | undefined, outcome: 'committed' | 'aborted'): void {
    const transaction = producer?.transaction
    if (producer === undefined || transaction === undefined) return
    producer.transaction = undefined
    transaction.outcome = outcome
    const { world, link } = this.cluster
    for (const telling of transaction.told.values())
      world.servers.after(link.latency(), () => {
        telling.isTold = true
      })
  }

  /** The log takes whatever was not fenced off. */
  private asIs({ task }: EpochCommit, partition: PartitionCommit): PartitionCommit {
    return { ...partition, generation: this.generations.get(keyOf(task, partition)) ?? partition.generation }
  }
}

function keyOf(task: string, partition: TopicPartition): string {
  return `${task} ${partitionName(partition)}`
}
