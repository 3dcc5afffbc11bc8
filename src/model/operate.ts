import { Observable, type OperatorFunction, Subscriber } from 'rxjs'

/** What an operator does with each notification of its input. Errors pass through. */
export interface Handlers<In> {
  next(value: In): void
  /** Flushes what is held back. The output completes when it returns. */
  complete?(): void
}

/**
 * An operator in the shape of RxJS's own, for stages that emit any number of records for each one they take:
 * `map` and `filter` in a row cost twice as much, `mergeMap` over an array ten times.
 * What a handler throws becomes the output's error. `connect` runs once a subscription; teardown goes to `output.add`.
 */
export function operate<In, Out>(connect: (output: Subscriber<Out>) => Handlers<In>): OperatorFunction<In, Out> {
  return (input$) => new Observable<Out>((output) => input$.subscribe(new HandlingSubscriber(output, connect(output))))
}

/**
 * A class, and not an observer object, for one reason: a subscriber that knows its destination from the start is closed
 * with it even while a synchronous input is still emitting, so that the input sees `closed` and stops.
 */
class HandlingSubscriber<In, Out> extends Subscriber<In> {
  constructor(
    private readonly output: Subscriber<Out>,
    private readonly handlers: Handlers<In>,
  ) {
    super(output)
  }

  /** Not `_next`: that of RxJS, which would call it, serves subscribers of every kind and is slow for it. */
  override next(value: In): void {
    if (this.isStopped) return
    try {
      this.handlers.next(value)
    } catch (error) {
      this.output.error(error)
    }
  }

  protected override _complete(): void {
    try {
      this.handlers.complete?.()
    } catch (error) {
      return this.output.error(error)
    }
    // Who takes what was held back may have had enough by then.
    if (!this.closed) super._complete()
  }
}
