import {
  catchError,
  concat,
  defer,
  EMPTY,
  exhaustMap,
  ignoreElements,
  mergeAll,
  type Observable,
  tap,
  timer,
  toArray,
} from 'rxjs'
import { type Clock, type PartitionEnd, PartitionMap, type Position, type SourceTask } from '../model/index.js'

const everyMs = 1_000

/** Asks the sources, again and again, how far their partitions reach: for the lag, and to know which are idle. */
export class PartitionEnds {
  private last: readonly PartitionEnd[] = []
  private answeredAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly sources: readonly SourceTask[],
    private readonly clock: Clock,
  ) {}

  /** Asks while subscribed. Never errors: a broker that does not answer makes the answers old. */
  watch(): Observable<never> {
    this.last = []
    return timer(0, everyMs, this.clock.scheduler).pipe(exhaustMap(() => this.ask()))
  }

  /** As `known`; nothing when that is too long ago to tell that a partition is still read to its end. */
  fresh(positions: readonly Position[]): readonly PartitionEnd[] {
    return this.clock.scheduler.now() - this.answeredAt >= 3 * everyMs ? [] : this.known(positions)
  }

  /**
   * How far these positions are from the ends that were told last. The positions of that time would not do: what a
   * partition gets once an epoch may always have come just before, and would never seem to be read.
   */
  known(positions: readonly Position[]): readonly PartitionEnd[] {
    const ends = new PartitionMap<number>()
    for (const { topic, partition, end } of this.last) ends.set(topic, partition, end)
    return positions.flatMap((position) => {
      const end = ends.get(position.topic, position.partition)
      return end === undefined ? [] : [{ ...position, end }]
    })
  }

  private ask(): Observable<never> {
    return defer(() => concat(...this.sources.map((source) => source.ends()))).pipe(
      mergeAll(),
      toArray(),
      tap((ends) => {
        this.last = ends
        this.answeredAt = this.clock.scheduler.now()
      }),
      catchError(() => EMPTY),
      ignoreElements(),
    )
  }
}
