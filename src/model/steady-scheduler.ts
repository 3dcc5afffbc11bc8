import { asyncScheduler, type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs'

/** The longest that a timer of Node waits, ms: 24.8 days. One that is to wait longer fires at once. */
export const longestTimerMs = 2 ** 31 - 1

/** Real time. Its `now` never goes back, and it waits as long as it is told, be it months. */
export const steadyScheduler: SchedulerLike = {
  now: () => Math.floor(performance.now()),
  schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T) {
    return new SteadyAction(work).schedule(state, delay)
  },
}

/** Work that waits on one timer after the other, until it is due; it may schedule itself again. */
class SteadyAction<T> extends Subscription implements SchedulerAction<T> {
  private timer: Subscription | undefined

  constructor(private readonly work: (this: SchedulerAction<T>, state?: T) => void) {
    super()
  }

  schedule(state?: T, delay = 0): this {
    if (this.timer !== undefined) this.remove(this.timer)
    this.timer?.unsubscribe()
    const stepMs = Math.min(delay, longestTimerMs)
    this.timer = asyncScheduler.schedule(() => this.fire(state, delay - stepMs), stepMs)
    this.add(this.timer)
    return this
  }

  private fire(state: T | undefined, leftMs: number): void {
    if (leftMs > 0) this.schedule(state, leftMs)
    else this.work(state)
  }
}
