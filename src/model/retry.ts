import { z } from 'zod'
import { type Duration, someTime } from './duration.js'
import { type ErrorCode, isWeirError } from './errors.js'
import { fn, type RejectionPolicy, rejectionPolicy } from './stage.js'

/** What goes to retry topics, and for how long. */
export interface RetryOptions {
  /**
   * How long a record waits before it is tried again: after it has failed for the first time, for the second time, and so on.
   * One that has failed once more than there are tiers goes to the dead letters.
   */
  readonly tiers: readonly Duration[]
  /**
   * Whether what was thrown may pass. What it says no to goes to the dead letters at once. Default: what the code of a stage
   * throws may, and what the system behind a sink refuses; bytes that don't decode or validate never will.
   */
  readonly when?: (error: unknown) => boolean
}

const retryPolicy = z.strictObject({
  tiers: z
    .array(someTime)
    .min(1)
    .refine((tiers) => new Set(tiers).size === tiers.length, 'expected tiers that differ'),
  when: fn<(error: unknown) => boolean>().optional(),
})

/** Its tiers in ms. */
export type RetryPolicy = z.output<typeof retryPolicy>

/** What becomes of a record that a stage can't take: a policy, or retries before it goes to the dead letters. */
export type ErrorPolicy = RejectionPolicy | RetryOptions

export const errorPolicy = z.union([rejectionPolicy, retryPolicy], {
  error: "expected 'fail', 'dead-letter', 'skip' or retry({ tiers: ['1m', '10m', '1h'] })",
})

/**
 * A policy for `onError`: a record that fails for reasons that may pass goes to a retry topic, so that others need not wait for
 * it, and comes back to its flow when its time has come. What has failed for good goes to the dead letters.
 */
export function retry(options: RetryOptions): ErrorPolicy {
  return options
}

/** What becomes of a record once it is not tried again, and how it is before that. */
export function partsOf(policy: z.output<typeof errorPolicy> | undefined): {
  readonly policy: RejectionPolicy | undefined
  readonly retry: RetryPolicy | undefined
} {
  if (typeof policy === 'object') return { policy: 'dead-letter', retry: policy }
  return { policy, retry: undefined }
}

const passing: readonly ErrorCode[] = ['WEIR_STAGE_FAILED', 'WEIR_STAGE_TIMEOUT', 'WEIR_RECORD_REFUSED']

/** Whether an error may pass. A function that throws has no answer: then it won't. */
export function mayPass({ when }: RetryPolicy, error: unknown): boolean {
  if (when === undefined) return !isWeirError(error) || passing.includes(error.code)
  try {
    return when(isWeirError(error) && error.cause !== undefined ? error.cause : error)
  } catch {
    return false
  }
}
