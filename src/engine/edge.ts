import { type MonoTypeOperatorFunction, Observable, Subscriber } from 'rxjs'
import type { StageCounts } from './status.js'

/**
 * The way from one stage to the next, which counts what passes. It overrides `_next`, as RxJS's own operators do,
 * because it stands between every two stages: a `tap` would cost as much as a stage.
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

  protected override _next(value: T): void {
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
