import type { StoreCodec } from '../model/index.js'
import type { Aggregate } from './aggregate.js'

/** The last items of a growing list, and those added since it was last saved. */
class Tail<T> {
  private added = 0

  constructor(
    private readonly items: T[],
    private readonly max: number,
  ) {}

  push(item: T): void {
    this.items.push(item)
    this.added++
    // Shifting one by one would move the whole list each time.
    if (this.items.length >= 2 * this.max) this.items.splice(0, this.items.length - this.max)
  }

  /** The items that count, oldest first. */
  last(): T[] {
    return this.items.slice(-this.max)
  }

  takeAdded(): T[] {
    const { length } = this.items
    const fresh = this.items.slice(length - Math.min(this.added, this.max))
    this.added = 0
    return fresh
  }
}

export interface CollectOptions {
  /** How many of the newest it keeps. */
  readonly max: number
}

/** A value of each record in a list, newest last, bounded: beyond `max` the oldest go. Values must be plain data. */
export function collect<V, T = V>(of: (value: V) => T, { max }: CollectOptions): Aggregate<V, Tail<T>, T[]> {
  const codec: StoreCodec<Tail<T>> = {
    version: 1,
    save(tail) {
      tail.takeAdded()
      return tail.last()
    },
    load: (saved) => new Tail(saved as T[], max),
    changes: (tail) => tail.takeAdded(),
    apply(tail, changes) {
      for (const item of changes as T[]) tail.push(item)
      tail.takeAdded()
      return tail
    },
  }
  return {
    init: () => new Tail([], max),
    add(tail, value) {
      tail.push(of(value))
      return tail
    },
    merge(tail, other) {
      for (const item of other.last()) tail.push(item)
      return tail
    },
    result: (tail) => tail.last(),
    codec,
  }
}

export type { Tail }
