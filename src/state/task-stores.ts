import {
  type AcquiredPartition,
  durationMs,
  isTimestamp,
  type PartitionCommit,
  PartitionMap,
  type Position,
  partitionName,
  type Store,
  type StoreBounds,
  type StoreCodec,
  type StoredChunk,
  type StorePartition,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { type DeclaredStore, PartitionState } from './partition-state.js'
import type { Losses, PartitionStore } from './partition-store.js'
import type { Bounds } from './recency.js'
import { type Unlike, unlikeOf } from './unlike.js'

/** All stores of a task, by source partition: they are assigned, restored, committed and dropped together. */
export class TaskStores {
  private readonly declared = new Map<string, DeclaredStore>()
  private readonly states = new PartitionMap<PartitionState>()
  private readonly lost = new Map<string, Losses>()

  /** `givenUp` names stores whose state may be lost. */
  constructor(private readonly givenUp: readonly string[] = []) {}

  get names(): readonly string[] {
    return [...this.declared.keys()]
  }

  codecOf(name: string): StoreCodec<unknown> | undefined {
    return this.declared.get(name)?.codec
  }

  /** What has gone by itself of each bounded store since the task began; what an epoch lost that failed is counted too. */
  get losses(): ReadonlyMap<string, Losses> {
    return this.lost
  }

  /** Declares a store, before any partition is assigned. */
  declare<V>(name: string, codec: StoreCodec<V>, bounds: StoreBounds = {}): Store<V> {
    if (this.declared.has(name)) {
      throw new WeirError('WEIR_CONFIG_INVALID', `declaring the store '${name}': the flow has one of that name`, {
        hint: 'Give each stateful stage a name of its own.',
      })
    }
    const checked = boundsOf(name, bounds)
    this.declared.set(name, { codec, bounds: checked })
    if (checked !== undefined) this.lost.set(name, { expired: 0, evicted: 0 })
    return {
      name,
      of: (topic, partition) => this.find(name, topic, partition) as StorePartition<V>,
      for: ({ origin: { topic, partition }, timestamp, behindMs }) => {
        const store = this.find(name, topic, partition)
        // Kafka's -1 would be taken for the year 1970, and all that was touched then would be over with the next time.
        if (isTimestamp(timestamp)) store.advance(timestamp + behindMs)
        return store as StorePartition<V>
      },
      partitions: () => this.each(name) as IterableIterator<StorePartition<V>>,
    }
  }

  /** Makes room for an assigned partition, empty. */
  assign({ topic, partition, generation, sequence }: AcquiredPartition): void {
    this.states.set(topic, partition, new PartitionState({ topic, partition }, generation, sequence, this.declared))
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

  /** What the log of a partition would bring back otherwise than it is in memory, right after a commit: for tests. */
  unlike({ topic, partition }: TopicPartition, log: readonly StoredChunk[]): Unlike | undefined {
    const live = this.states.get(topic, partition)
    if (live === undefined) return undefined
    const restored = new PartitionState({ topic, partition }, live.generation, live.sequence, this.declared)
    for (const chunk of log) restored.restore(chunk)
    for (const [name, store] of live.stores) {
      const found = unlikeOf(store, restored.stores.get(name) as PartitionStore<unknown>)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** What the epoch changed in one partition, as its part of the commit. What it packed counts as committed. */
  commit(position: Position, progress: Omit<PartitionCommit['progress'], 'position'>): PartitionCommit {
    const { topic, partition, offset } = position
    const state = this.state(topic, partition)
    this.sweep(state, progress.streamTime)
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

  /** Drops what no record has touched for its time to live, and adds up what went. */
  private sweep({ stores }: PartitionState, streamTime: number | undefined): void {
    for (const [name, { expired, evicted }] of this.lost) {
      const store = stores.get(name) as PartitionStore<unknown>
      // Where somebody is told what goes, only records make it go: after the last of an epoch nobody could tell it.
      const isTold = this.declared.get(name)?.bounds?.gone !== undefined
      if (streamTime !== undefined && !isTold) store.advance(streamTime)
      const losses = store.takeLosses()
      this.lost.set(name, { expired: expired + losses.expired, evicted: evicted + losses.evicted })
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

function boundsOf(name: string, { ttl, maxKeys = Number.POSITIVE_INFINITY, gone }: StoreBounds): Bounds | undefined {
  const ttlMs = ttl === undefined ? Number.POSITIVE_INFINITY : durationMs(ttl)
  if (!(ttlMs > 0) || !(maxKeys >= 1)) {
    throw new WeirError('WEIR_CONFIG_INVALID', `declaring the store '${name}': its bounds leave no room for an entry`, {
      hint: 'Give a ttl of more than 0 ms, and at least 1 as maxKeys.',
    })
  }
  return ttlMs === Number.POSITIVE_INFINITY && maxKeys === Number.POSITIVE_INFINITY
    ? undefined
    : { ttlMs, maxKeys, gone }
}
