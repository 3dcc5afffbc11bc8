import type { Store, StoreCodec, TopicPartition } from '../../model/index.js'
import { RecentIds } from '../internal/recent-ids.js'

/** An item of a document, by what it is known. */
export interface Identity {
  /** All of its ids; any of them tells that it is the same item. */
  readonly ids: readonly string[]
  /** When it was last changed, ms; undefined where nobody can tell. */
  readonly updated: number | undefined
}

/** What is remembered of an id. */
interface Known {
  /** The id by which its item was known first. */
  readonly first: string
  readonly updated: number | undefined
}

export const knownCodec: StoreCodec<Known> = {
  version: 2,
  save: ({ first, updated }) => (updated === undefined ? [first] : [first, updated]),
  load: (saved) => {
    // Before version 2 that an id was there was all that was known of it.
    const [first = '', updated] = saved === true ? [] : (saved as [string, number?])
    return { first, updated }
  },
}

/**
 * What came of a feed. That an item was seen is kept with the commit that it came with; until then it is known as
 * pending, so that a document which is asked for again meanwhile brings it once.
 */
export class KnownItems {
  private readonly committed: RecentIds<Known>
  private readonly pending = new Map<string, Known>()

  constructor(store: Store<Known>, partition: TopicPartition) {
    this.committed = new RecentIds(store, partition)
  }

  /** Goes on with what was committed. */
  load(): void {
    this.pending.clear()
    this.committed.load()
  }

  /** The id by which an item was known first, if it is new or revised; undefined when it came as it is. */
  takeNew({ ids, updated }: Identity): string | undefined {
    const [own = ''] = ids
    const found = ids.flatMap((id) => {
      const known = this.pending.get(id) ?? this.committed.get(id)
      return known === undefined ? [] : [{ ...known, first: known.first || id }]
    })
    const isRevision = ({ updated: before }: Known) => before !== undefined && updated !== undefined && updated > before
    if (!found.every(isRevision)) return undefined
    const first = found[0]?.first ?? own
    for (const each of ids) this.pending.set(each, { first, updated })
    return first
  }

  /** The item of this offset is emitted: what it is known by is committed with it. */
  emit(offset: number, { ids, updated }: Identity, first: string): void {
    for (const id of ids) this.committed.emit(offset, id, { first, updated })
  }

  /** It was committed. */
  settle({ ids, updated }: Identity, first: string): void {
    for (const id of ids) {
      this.committed.add(id, { first, updated })
      if (this.pending.get(id)?.updated === updated) this.pending.delete(id)
    }
  }
}
