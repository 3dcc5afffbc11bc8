import { type MonoTypeOperatorFunction, Observable, Subscriber } from 'rxjs'
import type { StageCounts } from './status.js'

/**
 * The way from one stage to the next, which counts what passes. It stands between every two stages, where a `tap` would
 * cost as much as a stage. It overrides `next` and not `_next`: RxJS's own `next` serves subscribers of every kind, so
 * that each of its look-ups is a slow one.
 */
class EdgeSubscriber<T> extends Subscriber<T> {
  constructor(
    destination: Subscriber<T>,
    private readonly from: StageCounts,
    private readonly to: StageCounts,
    private readonly watch: ((value: T) => void) | undefined,
  ) {
    super(destination)
  }

  override next(value: T): void {
    if (this.isStopped) return
    this.from.out++
    this.to.in++
    this.watch?.(value)
    this.destination.next(value)
  }
}

/** Counts records out of one stage and into the next; `watch` sees each of them. */
export function edge<T>(from: StageCounts, to: StageCounts, watch?: (value: T) => void): MonoTypeOperatorFunction<T> {
  return (source$) => new Observable((subscriber) => source$.subscribe(new EdgeSubscriber(subscriber, from, to, watch)))
}
