import type { WeirError } from '../model/index.js'

const firstBackoffMs = 500
const longestBackoffMs = 30_000

/** Counts the failures of a flow in a row, and says what follows from one. */
export class Supervision {
  failures = 0
  error: WeirError | undefined
  private failedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly attempts: number) {}

  /** How long to wait before the next try, ms; undefined when the flow has to stop. */
  failed(error: WeirError, now: number): number | undefined {
    this.failures++
    this.failedAt = now
    this.error = error
    if (error.remedy === 'stop' || this.failures >= this.attempts) return undefined
    return Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.failures - 1))
  }

  /**
   * An epoch was committed. An empty one proves little, what failed may still have to come again: it ends a row of
   * failures only when the last of them is long past.
   */
  succeeded(records: number, now: number): void {
    if (records === 0 && now - this.failedAt < longestBackoffMs) return
    this.failures = 0
    this.error = undefined
  }
}
