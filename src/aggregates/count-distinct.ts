import type { StoreCodec } from '../model/index.js'
import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'

type Element = string | number | boolean | null

/**
 * A set that knows what was added since it was last saved, so that a commit writes only that. What was loaded stays a list
 * until something is added: to be merged into another, which is all that becomes of most partials, it need not be a set.
 */
class GrowingSet {
  /** About how many bytes it takes when it is saved. */
  bytes = 0
  private fresh: Element[] = []
  private set: Set<Element> | undefined

  constructor(private loaded: readonly Element[] = []) {
    for (const element of loaded) this.bytes += bytesOf(element)
  }

  get elements(): Iterable<Element> {
    return this.set ?? this.loaded
  }

  get size(): number {
    return this.set?.size ?? this.loaded.length
  }

  add(element: Element): void {
    if (this.grow(element)) this.fresh.push(element)
  }

  /** Returns whether it was new. */
  grow(element: Element): boolean {
    const set = this.set ?? this.begin()
    const before = set.size
    set.add(element)
    if (set.size === before) return false
    this.bytes += bytesOf(element)
    return true
  }

  takeFresh(): Element[] {
    const { fresh } = this
    this.fresh = []
    return fresh
  }

  private begin(): Set<Element> {
    this.set = new Set(this.loaded)
    this.loaded = []
    return this.set
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
  load: (saved) => new GrowingSet(saved as Element[]),
  changes: (set) => set.takeFresh(),
  apply(set, changes) {
    for (const element of changes as Element[]) set.grow(element)
    return set
  },
  size: ({ bytes }) => bytes,
}

/**
 * How many different values there are, exactly: it keeps every one of them. Objects, of which no two are the same, are skipped,
 * and counted in `weir_values_skipped_total`.
 */
export function countDistinct<V>(of: (value: V) => Element): Aggregate<V, GrowingSet, number> {
  checkSelector('countDistinct', of)
  return {
    init: () => new GrowingSet(),
    add(set, value, _record, skip) {
      const element: unknown = of(value)
      if (typeof element === 'object' && element !== null) skip?.()
      else set.add(element as Element)
      return set
    },
    merge(set, other) {
      for (const element of other.elements) set.add(element)
      return set
    },
    result: (set) => set.size,
    codec,
  }
}

export type { GrowingSet }
