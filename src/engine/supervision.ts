import type { WeirError } from '../model/index.js'

const firstBackoffMs = 500
const longestBackoffMs = 30_000

/** Counts the failures of a flow in a row, and says what follows from one. */
export class Supervision {
  failures = 0
  error: WeirError | undefined

  constructor(private readonly attempts: number) {}

  /** How long to wait before the next try, ms; undefined when the flow has to stop. */
  failed(error: WeirError): number | undefined {
    this.failures++
    this.error = error
    if (error.remedy === 'stop' || this.failures >= this.attempts) return undefined
    return Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.failures - 1))
  }

  /** An epoch was committed. */
  succeeded(): void {
    this.failures = 0
    this.error = undefined
  }
}
