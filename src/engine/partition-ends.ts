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
import type { Clock, PartitionEnd, SourceTask } from '../model/index.js'

const everyMs = 1_000

/** Asks the sources, again and again, how far their partitions reach: for the lag, and to know which are idle. */
export class PartitionEnds {
  /** What was answered last, for people. */
  last: readonly PartitionEnd[] = []
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

  /** The last answer, or nothing when it is too old to tell that a partition is still read to its end. */
  fresh(): readonly PartitionEnd[] {
    return this.clock.now() - this.answeredAt < 3 * everyMs ? this.last : []
  }

  private ask(): Observable<never> {
    return defer(() => concat(...this.sources.map((source) => source.ends()))).pipe(
      mergeAll(),
      toArray(),
      tap((ends) => {
        this.last = ends
        this.answeredAt = this.clock.now()
      }),
      catchError(() => EMPTY),
      ignoreElements(),
    )
  }
}
