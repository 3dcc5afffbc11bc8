import { defer, EMPTY, type Observable, of } from 'rxjs'
import type { PartitionEnd, Position, TopicPartition } from '../../model/index.js'
import { offsetOf } from './sole-partition.js'

/**
 * What came from a system that can't be asked for it again, kept until it is committed: an epoch that fails is replayed
 * from here. It is the position of a source that has one partition.
 *
 *   base ──── emitted ──── position ──── waits to be emitted ──── end
 */
export class ReplayLog<T> {
  private items: T[] = []
  private base = 0
  /** The offset of the next one to emit. */
  position = 0

  constructor(private readonly partition: TopicPartition) {}

  /** The offset that the next one to come gets. */
  get end(): number {
    return this.base + this.items.length
  }

  /** Whether all that came is committed. */
  get isEmpty(): boolean {
    return this.items.length === 0
  }

  push(item: T): void {
    this.items.push(item)
  }

  /** Takes the next one to emit, if there is any. */
  next(): T | undefined {
    return this.position < this.end ? this.items[this.position++ - this.base] : undefined
  }

  /**
   * A task starts at its position of these, with what it did not commit before, if it ran in this process. Returns
   * whether something of that is left.
   */
  start(positions: readonly Position[]): boolean {
    const position = offsetOf(this.partition, positions) ?? 0
    if (position < this.base || position > this.end) this.items = []
    this.position = position
    if (this.items.length > 0) return true
    this.base = position
    return false
  }

  /** What has been emitted and is committed with these positions, the oldest first. */
  *committing(positions: readonly Position[]): Generator<T> {
    const offset = offsetOf(this.partition, positions) ?? this.base
    yield* this.items.slice(0, Math.max(0, offset - this.base))
  }

  positions(): readonly Position[] {
    return [{ ...this.partition, offset: this.position }]
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = offsetOf(this.partition, positions) ?? this.position
      return EMPTY
    })
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      const offset = offsetOf(this.partition, positions) ?? this.base
      this.items = this.items.slice(offset - this.base)
      this.base = offset
      return EMPTY
    })
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => of([{ ...this.partition, offset: this.position, end: this.end }]))
  }
}
