export type Element = string | number

interface Counter {
  readonly key: Element
  count: number
  error: number
  /** Where in the heap it is. */
  at: number
}

/**
 * Counters of the heaviest keys, the lightest at the top of a heap: a new key takes its place, and its count as the
 * error. Counters are ordered by count and key, so that which one goes does not depend on how the heap came about.
 */
export class Heaviest {
  /** How much a key that is not counted may have had while there were fewer counters than fit. */
  missed = 0
  private readonly byKey = new Map<Element, Counter>()
  private readonly heap: Counter[] = []
  private changed = new Set<Element>()

  constructor(private readonly capacity: number) {}

  get(key: Element): Readonly<Counter> | undefined {
    return this.byKey.get(key)
  }

  /** Errors: a `RangeError` when the weight is negative, or no number. */
  add(key: Element, weight: number): void {
    if (!(weight >= 0)) throw new RangeError(`weighing '${key}': ${weight} is no weight`)
    const counter = this.byKey.get(key)
    if (counter !== undefined) {
      counter.count += weight
      this.sink(counter)
      this.changed.add(key)
      return
    }
    const error = this.floor()
    if (this.heap.length >= this.capacity) this.removeLightest()
    this.put(key, error + weight, error)
  }

  merge(other: Heaviest): void {
    const [floor, otherFloor] = [this.floor(), other.floor()]
    const sums = new Map<Element, readonly [count: number, error: number]>()
    for (const { key, count, error } of this.heap) {
      const { count: more, error: moreError } = other.byKey.get(key) ?? { count: otherFloor, error: otherFloor }
      sums.set(key, [count + more, error + moreError])
    }
    for (const { key, count, error } of other.heap) {
      if (!this.byKey.has(key)) sums.set(key, [count + floor, error + floor])
    }
    for (const [key, [count, error]] of sums) this.put(key, count, error)
    this.trim(floor + otherFloor)
  }

  /** Sets the counter of a key. There may be too many until `trim`. */
  put(key: Element, count: number, error: number): void {
    this.remove(key)
    const counter = { key, count, error, at: this.heap.length }
    this.byKey.set(key, counter)
    this.heap.push(counter)
    this.rise(counter)
    this.changed.add(key)
  }

  remove(key: Element): void {
    const counter = this.byKey.get(key)
    if (counter === undefined) return
    this.byKey.delete(key)
    this.changed.add(key)
    const last = this.heap.pop() as Counter
    if (last === counter) return
    this.place(last, counter.at)
    this.rise(last)
    this.sink(last)
  }

  /** Leaves as many as fit. A key that is not counted has had no more than `missed`, or than the heaviest that goes. */
  trim(missed: number): void {
    this.missed = missed
    while (this.heap.length > this.capacity) this.removeLightest()
  }

  /** All that is counted, heaviest first. */
  sorted(): Readonly<Counter>[] {
    return [...this.heap].sort((one, other) => (isLighter(one, other) ? 1 : -1))
  }

  /** The keys whose counters have come, changed or gone since the last call. */
  takeChanged(): ReadonlySet<Element> {
    const { changed } = this
    this.changed = new Set()
    return changed
  }

  /** How much a key that is not counted may have had, at most. */
  private floor(): number {
    return this.heap.length < this.capacity ? this.missed : Math.max(this.missed, (this.heap[0] as Counter).count)
  }

  private removeLightest(): void {
    const { key, count } = this.heap[0] as Counter
    this.missed = Math.max(this.missed, count)
    this.remove(key)
  }

  private rise(counter: Counter): void {
    for (let parent = this.parentOf(counter); parent !== undefined; parent = this.parentOf(counter)) {
      if (!isLighter(counter, parent)) return
      this.swap(counter, parent)
    }
  }

  private sink(counter: Counter): void {
    for (let child = this.lighterChildOf(counter); child !== undefined; child = this.lighterChildOf(counter)) {
      if (!isLighter(child, counter)) return
      this.swap(counter, child)
    }
  }

  private parentOf({ at }: Counter): Counter | undefined {
    return at === 0 ? undefined : this.heap[(at - 1) >> 1]
  }

  private lighterChildOf({ at }: Counter): Counter | undefined {
    const [left, right] = [this.heap[2 * at + 1], this.heap[2 * at + 2]]
    if (left === undefined || right === undefined) return left
    return isLighter(right, left) ? right : left
  }

  private swap(one: Counter, other: Counter): void {
    const { at } = one
    this.place(one, other.at)
    this.place(other, at)
  }

  private place(counter: Counter, at: number): void {
    counter.at = at
    this.heap[at] = counter
  }
}

function isLighter(one: Counter, other: Counter): boolean {
  if (one.count !== other.count) return one.count < other.count
  return typeof one.key === typeof other.key ? one.key < other.key : typeof one.key === 'number'
}
