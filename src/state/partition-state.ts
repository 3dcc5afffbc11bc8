import { partitionName, type StoreCodec, type StoredChunk, type TopicPartition, WeirError } from '../model/index.js'
import { type Append, Changelog } from './changelog.js'
import { PartitionStore } from './partition-store.js'
import type { Bounds } from './recency.js'
import { rawCodec } from './stored-state.js'

/** A store as a stage declared it. */
export interface DeclaredStore {
  readonly codec: StoreCodec<unknown>
  readonly bounds: Bounds | undefined
}

/** The stores of one partition, and what numbers their commits. */
export class PartitionState {
  readonly stores: ReadonlyMap<string, PartitionStore<unknown>>
  /** Stores that the log names and nobody declared. */
  private readonly strangers = new Map<string, PartitionStore<unknown>>()
  private readonly changelog: Changelog

  constructor(
    readonly partition: TopicPartition,
    readonly generation: number,
    public sequence: number,
    declared: ReadonlyMap<string, DeclaredStore>,
  ) {
    this.stores = new Map(
      [...declared].map(([name, { codec, bounds }]) => [name, new PartitionStore(name, partition, codec, bounds)]),
    )
    this.changelog = new Changelog([...this.stores.values()])
  }

  append(sequence: number): Append {
    return this.changelog.append(sequence)
  }

  restore({ sequence, bytes }: StoredChunk): void {
    this.changelog.restore(sequence, bytes, this.partition, (name) => this.stores.get(name) ?? this.stranger(name))
  }

  /**
   * All of the log is back. What it still holds of stores that nobody declared is lost, so unless it was given up, that
   * is refused. Errors: WEIR_CHECKPOINT_UNKNOWN_STORE.
   */
  restored(givenUp: readonly string[]): void {
    for (const [name, { size }] of this.strangers) {
      if (size > 0 && !givenUp.includes(name)) throw unknownStore(name, size, this.partition)
    }
    this.strangers.clear()
  }

  private stranger(name: string): PartitionStore<unknown> {
    let store = this.strangers.get(name)
    if (store === undefined) this.strangers.set(name, (store = new PartitionStore(name, this.partition, rawCodec)))
    return store
  }
}

function unknownStore(name: string, size: number, partition: TopicPartition): WeirError {
  const what = `${size} ${size === 1 ? 'entry' : 'entries'} of the store '${name}'`
  return new WeirError(
    'WEIR_CHECKPOINT_UNKNOWN_STORE',
    `restoring the state of ${partitionName(partition)}: it holds ${what}, which the flow no longer has`,
    { partition, stage: name, hint: unclaimedHint(name) },
  )
}

/** What to do about a store that holds state and is not in the flow any more. */
export function unclaimedHint(name: string): string {
  return `Name the stage '${name}' again, or give its state up: flow(…).with({ givesUp: ['${name}'] }).`
}
