import { type MonoTypeOperatorFunction, retry, throwError, timer } from 'rxjs'
import { type SinkContext, WeirError } from '../../model/index.js'
import type { Faults } from '../../sql/index.js'

const firstRetryMs = 100

export interface RetryOptions {
  /** How often it is tried again. */
  readonly retries: number
  /** What is being done, for the log. */
  readonly doing: string
  readonly faults: Faults
  readonly context: SinkContext
}

/** Tries again what failed for reasons that may pass, after pauses that double. */
export function retrying<T>({ retries, doing, faults, context }: RetryOptions): MonoTypeOperatorFunction<T> {
  return retry({
    delay: (error: unknown, attempt) => {
      const fault = faults.of(error)
      const isTransient = (fault === 'system' || fault === 'connection') && !(error instanceof WeirError)
      if (!isTransient || attempt > retries) return throwError(() => error)
      const delayMs = firstRetryMs * 2 ** (attempt - 1)
      context.log.warn(`${doing}: ${faults.text(error)}; trying again in ${delayMs} ms`)
      return timer(delayMs, context.clock.scheduler)
    },
  })
}
