/** Items in their order, some at a time. */
export interface MergedSource<T> {
  /** No item of it comes before this. It is opened when that is reached. */
  readonly from: number
  open(): AsyncIterator<readonly T[]>
}

/**
 * Items of several sources as one: the next is always the one of the lowest `key` among those that come next, and items of one
 * source stay in their order.
 */
export async function* merged<T>(
  sources: readonly MergedSource<T>[],
  key: (item: T) => number,
): AsyncGenerator<readonly T[]> {
  const waiting = [...sources].sort((a, b) => a.from - b.from)
  const open = new Set<Cursor<T>>()
  for (;;) {
    let [first, limit] = leastOf(open)
    for (let next = waiting[0]; next !== undefined && next.from <= (first?.key ?? never); next = waiting[0]) {
      waiting.shift()
      const cursor = new Cursor(next.open(), key)
      if (await cursor.fill()) open.add(cursor)
      ;[first, limit] = leastOf(open)
    }
    if (first === undefined) return
    yield first.take(Math.min(limit, waiting[0]?.from ?? never))
    if (first.isEmpty && !(await first.fill())) open.delete(first)
  }
}

const never = Number.POSITIVE_INFINITY

/** The one whose next item has the lowest key, of those the one that was opened first; and the lowest key of the others. */
function leastOf<T>(open: Iterable<Cursor<T>>): readonly [least: Cursor<T> | undefined, limit: number] {
  let least: Cursor<T> | undefined
  let limit = never
  for (const cursor of open) {
    if (least === undefined || cursor.key < least.key) {
      limit = least?.key ?? never
      least = cursor
    } else limit = Math.min(limit, cursor.key)
  }
  return [least, limit]
}

/** A source that is being read. */
class Cursor<T> {
  private items: readonly T[] = []
  private at = 0

  constructor(
    private readonly source: AsyncIterator<readonly T[]>,
    private readonly keyOf: (item: T) => number,
  ) {}

  get isEmpty(): boolean {
    return this.at === this.items.length
  }

  /** Of its next item. */
  get key(): number {
    return this.keyOf(this.items[this.at] as T)
  }

  /** Whether there is a next item. */
  async fill(): Promise<boolean> {
    while (this.isEmpty) {
      const next = await this.source.next()
      if (next.done === true) return false
      this.items = next.value
      this.at = 0
    }
    return true
  }

  /** The next item, and those behind it up to this key. */
  take(upTo: number): readonly T[] {
    const start = this.at++
    while (!this.isEmpty && this.key <= upTo) this.at++
    return this.items.slice(start, this.at)
  }
}
