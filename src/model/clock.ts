import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'

/** Time as stages see it. In marble tests it is virtual. */
export interface Clock {
  /** Wall-clock time, ms since the Unix epoch. It can be set, and then it jumps. */
  now(): number
  /** What `timer`, `delay` and their kind run on. Its own `now` goes on steadily: it tells how much time has passed. */
  readonly scheduler: SchedulerLike
}

export const systemClock: Clock = {
  now: () => Date.now(),
  scheduler: {
    now: () => Math.floor(performance.now()),
    schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay?: number, state?: T) {
      return asyncScheduler.schedule(work, delay, state)
    },
  },
}
