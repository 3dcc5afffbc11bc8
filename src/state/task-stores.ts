import {
  type AcquiredPartition,
  type PartitionCommit,
  PartitionMap,
  type Position,
  partitionName,
  type Store,
  type StoreCodec,
  type StoredChunk,
  type StorePartition,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { PartitionState } from './partition-state.js'
import type { PartitionStore } from './partition-store.js'

/** All stores of a task, by source partition: they are assigned, restored, committed and dropped together. */
export class TaskStores {
  private readonly codecs = new Map<string, StoreCodec<unknown>>()
  private readonly states = new PartitionMap<PartitionState>()

  /** `givenUp` names stores whose state may be lost. */
  constructor(private readonly givenUp: readonly string[] = []) {}

  get names(): readonly string[] {
    return [...this.codecs.keys()]
  }

  codecOf(name: string): StoreCodec<unknown> | undefined {
    return this.codecs.get(name)
  }

  /** Declares a store, before any partition is assigned. */
  declare<V>(name: string, codec: StoreCodec<V>): Store<V> {
    if (this.codecs.has(name)) {
      throw new WeirError('WEIR_CONFIG_INVALID', `declaring the store '${name}': the flow has one of that name`, {
        hint: 'Give each stateful stage a name of its own.',
      })
    }
    this.codecs.set(name, codec)
    return {
      name,
      of: (topic, partition) => this.find(name, topic, partition) as StorePartition<V>,
      partitions: () => this.each(name) as IterableIterator<StorePartition<V>>,
    }
  }

  /** Makes room for an assigned partition, empty. */
  assign({ topic, partition, generation, sequence }: AcquiredPartition): void {
    this.states.set(topic, partition, new PartitionState({ topic, partition }, generation, sequence, this.codecs))
  }

  release(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.states.delete(topic, partition)
  }

  /** Puts one chunk of the log back. Errors: WEIR_CHECKPOINT_CORRUPT. */
  restore({ topic, partition }: TopicPartition, chunk: StoredChunk): void {
    this.state(topic, partition).restore(chunk)
  }

  /** All of a partition's log is back. Returns how many keys that is. Errors: WEIR_CHECKPOINT_UNKNOWN_STORE when that is more than was declared. */
  restored({ topic, partition }: TopicPartition): number {
    const state = this.state(topic, partition)
    state.restored(this.givenUp)
    return [...state.stores.values()].reduce((keys, store) => keys + store.size, 0)
  }

  /** What the epoch changed in one partition, as its part of the commit. What it packed counts as committed. */
  commit(position: Position, progress: Omit<PartitionCommit['progress'], 'position'>): PartitionCommit {
    const { topic, partition, offset } = position
    const state = this.state(topic, partition)
    const sequence = state.sequence + 1
    const { chunks, truncateBefore } = state.append(sequence)
    if (chunks.length > 0) state.sequence = sequence
    return {
      topic,
      partition,
      generation: state.generation,
      progress: { position: offset, ...progress },
      sequence: state.sequence,
      chunks,
      truncateBefore,
    }
  }

  private find(name: string, topic: string, partition: number): PartitionStore<unknown> {
    const store = this.state(topic, partition).stores.get(name)
    if (store === undefined) throw new Error(`the store '${name}' was declared after partitions were assigned`)
    return store
  }

  private *each(name: string): Generator<PartitionStore<unknown>> {
    for (const state of this.states.values()) yield state.stores.get(name) as PartitionStore<unknown>
  }

  private state(topic: string, partition: number): PartitionState {
    const state = this.states.get(topic, partition)
    if (state !== undefined) return state
    throw new WeirError(
      'WEIR_TASK_UNEXPECTED',
      `using a store: ${partitionName({ topic, partition })} is not assigned`,
      {
        remedy: 'restart',
      },
    )
  }
}
