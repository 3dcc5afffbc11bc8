import { concatMap, defer, from, type Observable, reduce } from 'rxjs'
import type { CheckpointStore, CodecVersion, HeldPartition, StoreCodec, StoredChunk } from '../model/index.js'
import { applySection, ChunkReader, corruptError } from './chunk.js'
import { PartitionStore } from './partition-store.js'

/** Keeps what is stored as it is: to be counted, not used. Changes are part of it, but can't be told apart. */
export const rawCodec: StoreCodec<unknown> = {
  version: 0,
  save: (value) => value,
  load: (saved) => saved,
  apply: (value) => value,
}

/** What a checkpoint store holds of one store of a task, in one partition. */
export interface StoredStore {
  readonly held: HeldPartition
  readonly store: PartitionStore<unknown>
  /** How much of the log is this store's. */
  bytes: number
  /** The codec versions that its chunks were written under. */
  readonly versions: CodecVersion[]
}

/**
 * Reads a partition's log and emits the stores that it names. Without a codec of theirs, values stay as they were saved.
 * Errors: WEIR_CHECKPOINT_CORRUPT, and those of the checkpoint store.
 */
export function readStored(
  checkpoints: CheckpointStore,
  held: HeldPartition,
  codecOf: (store: string) => StoreCodec<unknown> | undefined = () => undefined,
): Observable<StoredStore> {
  return defer(() => {
    const reader = new ChunkReader()
    return checkpoints.load(held.task, held).pipe(
      reduce((stores, chunk) => read(stores, chunk, reader, held, codecOf), new Map<string, StoredStore>()),
      concatMap((stores) => from(stores.values())),
    )
  })
}

function read(
  stores: Map<string, StoredStore>,
  { bytes }: StoredChunk,
  reader: ChunkReader,
  held: HeldPartition,
  codecOf: (store: string) => StoreCodec<unknown> | undefined,
): Map<string, StoredStore> {
  try {
    const section = reader.next(bytes)
    if (section === undefined) return stores
    const [name, version] = section
    let stored = stores.get(name)
    if (stored === undefined) {
      const store = new PartitionStore(name, held, codecOf(name) ?? rawCodec)
      stores.set(name, (stored = { held, store, bytes: 0, versions: [] }))
    }
    applySection(stored.store, section)
    stored.bytes += bytes.length
    if (!stored.versions.some((known) => isSameVersion(known, version))) stored.versions.push(version)
    return stores
  } catch (cause) {
    throw corruptError(held, cause)
  }
}

export function isSameVersion(one: CodecVersion, other: CodecVersion): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
