import type { StoreCodec } from '../model/index.js'
import type { Aggregate } from './aggregate.js'

type Element = string | number | boolean | null

/** A set that knows what was added since it was last saved, so that a commit writes only that. */
class GrowingSet {
  fresh: Element[] = []
  /** About how many bytes it takes when it is saved. */
  bytes = 0

  constructor(readonly elements = new Set<Element>()) {
    for (const element of elements) this.bytes += bytesOf(element)
  }

  add(element: Element): void {
    if (this.grow(element)) this.fresh.push(element)
  }

  /** Returns whether it was new. */
  grow(element: Element): boolean {
    const before = this.elements.size
    this.elements.add(element)
    if (this.elements.size === before) return false
    this.bytes += bytesOf(element)
    return true
  }

  takeFresh(): Element[] {
    const { fresh } = this
    this.fresh = []
    return fresh
  }
}

function bytesOf(element: Element): number {
  return typeof element === 'string' ? element.length + 1 : 9
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
    for (const element of changes as Element[]) set.grow(element)
    return set
  },
  size: ({ bytes }) => bytes,
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
