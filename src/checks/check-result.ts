import type { Severity } from './limits.js'

/**
 * `passed` or `failed` by its limits, `errored` when the database did not give a value, `skipped` when there was nothing to
 * judge, or no use in asking.
 */
export type CheckStatus = 'passed' | 'failed' | 'errored' | 'skipped'

/** What one run of a check has found. */
export interface CheckResult {
  /** Its name. */
  readonly check: string
  /** `notNull`, `fresh`. */
  readonly kind: string
  readonly status: CheckStatus
  /** Of one that failed the limit that it broke, of one that errored `error`; else null. */
  readonly severity: Severity | null
  /** What was counted or measured; null where there is no value. */
  readonly value: number | null
  /** The same for people, or what went wrong. */
  readonly message: string
  /** When the run was scheduled, ISO 8601. */
  readonly at: string
  readonly durationMs: number
}

/** How bad a result is, for `incidents`; undefined where it says nothing of what was checked. */
export function checkLevel({ status, severity }: CheckResult): 'ok' | Severity | undefined {
  return status === 'skipped' ? undefined : (severity ?? 'ok')
}
