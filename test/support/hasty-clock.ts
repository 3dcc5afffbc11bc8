import type { SchedulerAction, SchedulerLike, Subscription } from 'rxjs'
import { type Clock, systemClock } from '../../src/model/index.js'

/** A clock by which everything takes so many times as long as it does: what waits for minutes is over in seconds. */
export function hastyClock(times: number): Clock {
  const { scheduler } = systemClock
  const hasty: SchedulerLike = {
    now: () => scheduler.now() * times,
    schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T): Subscription =>
      scheduler.schedule(work, delay / times, state as T),
  }
  return { now: () => systemClock.now(), scheduler: hasty }
}
