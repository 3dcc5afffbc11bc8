import { type Observable, ReplaySubject, type Subscription, take, timer } from 'rxjs'
import type { Clock, Epoch, EpochOptions } from '../model/index.js'

export type EpochLimits = Required<Omit<EpochOptions, 'lingerMs'>> & Pick<EpochOptions, 'lingerMs'>

export const usualLimits: EpochLimits = { maxRecords: 40_000, maxBytes: 64 << 20, everyMs: 1_000 }

/**
 * Of a flow that asks for exactly once: a transaction of Kafka costs tens of ms, whatever is in it. A second's worth at full
 * speed makes that little, and halves the work of the broker.
 */
export const transactionalLimits: EpochOptions = { maxRecords: 100_000 }

/** The budget of one subscription: sources draw from it, and it is cut when it is spent, over or interrupted. */
export class EpochBudget implements Epoch {
  readonly cut$: Observable<unknown>
  readonly startedAt: number
  records = 0
  private bytes = 0
  private isCut = false
  private readonly cutting = new ReplaySubject<void>(1)
  private timer: Subscription | undefined
  private lingering: Subscription | undefined
  /** When its first record was taken. */
  private firstAt = 0

  constructor(
    readonly number: number,
    private readonly limits: EpochLimits,
    private readonly clock: Clock,
  ) {
    this.cut$ = this.cutting.pipe(take(1))
    this.startedAt = clock.scheduler.now()
  }

  /** Reading begins, and with it the epoch's time: a sink may take longer than that to open. */
  begin(): void {
    if (this.isCut) return
    this.timer ??= timer(this.limits.everyMs, this.clock.scheduler).subscribe(() => this.cut())
  }

  room(): number {
    return this.isCut ? 0 : this.limits.maxRecords - this.records
  }

  take(records: number, bytes: number): void {
    if (this.records === 0) this.firstAt = this.clock.scheduler.now()
    this.records += records
    this.bytes += bytes
    if (this.records >= this.limits.maxRecords || this.bytes >= this.limits.maxBytes) this.cut()
  }

  caughtUp(): void {
    const { lingerMs = Number.POSITIVE_INFINITY, everyMs } = this.limits
    if (lingerMs >= everyMs || this.records === 0 || this.lingering !== undefined || this.isCut) return
    const waitMs = Math.max(0, this.firstAt + lingerMs - this.clock.scheduler.now())
    this.lingering = timer(waitMs, this.clock.scheduler).subscribe(() => this.cut())
  }

  /** Asks the sources to complete. */
  cut(): void {
    if (this.isCut) return
    this.isCut = true
    this.timer?.unsubscribe()
    this.lingering?.unsubscribe()
    this.cutting.next()
  }

  durationMs(): number {
    return this.clock.scheduler.now() - this.startedAt
  }
}
