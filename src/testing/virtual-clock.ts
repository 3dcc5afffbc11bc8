import type { SchedulerLike } from 'rxjs'
import type { Clock } from '../model/index.js'

/** A clock of virtual time, whose wall part can be set as that of a computer can. */
export class VirtualClock implements Clock {
  private aheadMs = 0

  constructor(readonly scheduler: SchedulerLike) {}

  readonly now = (): number => this.scheduler.now() + this.aheadMs

  /** Sets the wall clock ahead by so many ms, or back by a negative number. What has passed stays the same. */
  jump(ms: number): void {
    this.aheadMs += ms
  }
}
