import type { StoreCodec } from '../model/index.js'
import type { Aggregate } from './aggregate.js'

type Element = string | number | boolean | null

/** A set that knows what was added since it was last saved, so that a commit writes only that. */
class GrowingSet {
  fresh: Element[] = []

  constructor(readonly elements: Set<Element> = new Set()) {}

  add(element: Element): void {
    const before = this.elements.size
    this.elements.add(element)
    if (this.elements.size !== before) this.fresh.push(element)
  }

  takeFresh(): Element[] {
    const { fresh } = this
    this.fresh = []
    return fresh
  }
}

const codec: StoreCodec<GrowingSet> = {
  version: 1,
  save(set) {
    set.takeFresh()
    return [...set.elements]
  },
  load: (saved) => new GrowingSet(new Set(saved as Element[])),
  changes: (set) => set.takeFresh(),
  apply(set, changes) {
    for (const element of changes as Element[]) set.elements.add(element)
    return set
  },
}

/** How many different values there are, exactly: it keeps every one of them. */
export function countDistinct<V>(of: (value: V) => Element): Aggregate<V, GrowingSet, number> {
  return {
    init: () => new GrowingSet(),
    add(set, value) {
      set.add(of(value))
      return set
    },
    merge(set, other) {
      for (const element of other.elements) set.add(element)
      return set
    },
    result: (set) => set.elements.size,
    codec,
  }
}

export type { GrowingSet }
