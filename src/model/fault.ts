import { type ErrorCode, isWeirError, messageOf, WeirError } from './errors.js'
import { isA } from './guard.js'
import type { StreamRecord } from './record.js'

/**
 * Whose fault an error is:
 * `record` one record can't be written for what it is, `setup` nothing will work before somebody mends the system or the
 * configuration, `connection` the connection is of no use any more, `system` anything else: try again.
 */
export type Fault = 'record' | 'setup' | 'connection' | 'system'

/** A value that can't be written in any way; it is the fault of its record. */
export class UnencodableError extends Error {
  constructor(
    cause: unknown,
    readonly column?: string,
  ) {
    super(messageOf(cause), { cause })
  }
}

/**
 * Where a record's fault and the system's part ways: what a record that is about to be written ran into, as the error of
 * that record. What somebody has to mend, and what is the system's, is thrown on: it ends the epoch.
 */
export function recordFault(error: unknown, doing: string): WeirError {
  if (isWeirError(error)) {
    if (error.culprit === 'record' && error.remedy !== 'stop') return error
    throw error
  }
  const refused = isA(UnencodableError, error) ? error : undefined
  const code: ErrorCode = refused === undefined ? 'WEIR_STAGE_FAILED' : 'WEIR_RECORD_REFUSED'
  const column = refused?.column === undefined ? '' : ` (column ${refused.column})`
  return new WeirError(code, `${doing}: ${messageOf(error)}${column}`, { cause: error })
}

/** What failed with a record, or from that one on: the error says where it was read. */
export function within(error: unknown, record: StreamRecord | undefined): unknown {
  if (!(error instanceof WeirError) || record === undefined) return error
  const { topic, partition, offset } = record.origin.from ?? record.origin
  return error.within({ partition: { topic, partition }, offset })
}
