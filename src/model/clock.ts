import { asyncScheduler, type SchedulerLike } from 'rxjs'

/** Wall-clock time as stages see it. In marble tests it is virtual. */
export interface Clock {
  /** ms since the Unix epoch. */
  now(): number
  /** What `timer`, `delay` and their kind run on. */
  readonly scheduler: SchedulerLike
}

export const systemClock: Clock = { now: () => asyncScheduler.now(), scheduler: asyncScheduler }
