import type { StoreKey, StreamRecord } from '../../model/index.js'

/** A group as it was just changed. */
export interface Present {
  readonly segment: number
  readonly key: StoreKey
  /** The windows that this changed and whose results are not out; one number where there are no windows. */
  windows(): Iterable<number>
  /** Its result in one of them, as of when this is first called; undefined where it was rejected. */
  result(window: number): StreamRecord | undefined
}

type Presents = Map<number, Map<StoreKey, Present>>

/** The groups that an epoch changed: window by window, and in each in the order in which they were last changed. */
export class Changed {
  private readonly slices: Presents = new Map()

  add(present: Present): void {
    put(this.slices, present.segment, present)
  }

  *results(): Generator<StreamRecord> {
    const windows: Presents = new Map()
    for (const slice of this.slices.values()) {
      for (const present of slice.values()) for (const window of present.windows()) put(windows, window, present)
    }
    for (const [window, groups] of windows) {
      for (const present of groups.values()) {
        const result = present.result(window)
        if (result !== undefined) yield result
      }
    }
  }
}

function put(all: Presents, at: number, present: Present): void {
  let groups = all.get(at)
  if (groups === undefined) all.set(at, (groups = new Map<StoreKey, Present>()))
  groups.delete(present.key)
  groups.set(present.key, present)
}
