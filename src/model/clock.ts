import type { SchedulerLike } from 'rxjs'
import { steadyScheduler } from './steady-scheduler.js'

/**
 * Time as stages see it. In marble tests it is virtual.
 *
 * What is shown to people or stored for other processes has the time of `now`. How long something takes, how old it is
 * and when it is due are told by `scheduler.now`: a wall clock that is set back would stop all that, and one that is set
 * ahead would end it at once.
 */
export interface Clock {
  /** Wall-clock time, ms since the Unix epoch. It can be set, and then it jumps. */
  now(): number
  /**
   * What `timer`, `delay` and their kind run on, however long they wait. Its own `now` never goes back, and is no date: it
   * tells how much time has passed, ms.
   */
  readonly scheduler: SchedulerLike
}

export const systemClock: Clock = { now: () => Date.now(), scheduler: steadyScheduler }
