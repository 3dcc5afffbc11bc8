import type { StoreKey, StreamRecord } from '../../model/index.js'

/** A group as it was just changed. */
export interface Present {
  readonly start: number
  readonly key: StoreKey
  /** Its result as of when this is called. */
  result(): StreamRecord
}

/** The groups that an epoch changed, in the order in which each was last changed. */
export class Changed {
  private readonly windows = new Map<number, Map<StoreKey, Present>>()

  add(present: Present): void {
    const { start, key } = present
    let groups = this.windows.get(start)
    if (groups === undefined) this.windows.set(start, (groups = new Map<StoreKey, Present>()))
    groups.delete(key)
    groups.set(key, present)
  }

  *results(): Generator<StreamRecord> {
    for (const groups of this.windows.values()) for (const present of groups.values()) yield present.result()
  }
}
