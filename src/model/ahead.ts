import type { Clock } from './clock.js'
import { WeirError } from './errors.js'
import { isTimestamp, timeText } from './time.js'

/**
 * Finds records that claim to be of the future: one of them would make all that come behind it late. A time may lie so far
 * ahead of the record's own timestamp, and that of the clock; without a timestamp, the time itself of the clock.
 */
export class Ahead {
  /** No time up to here is ahead of the clock: that is asked only for a later one. */
  private knownTo = Number.NEGATIVE_INFINITY

  constructor(
    /** Infinity where any time is allowed. */
    private readonly aheadMs: number,
    private readonly clock: Clock,
  ) {}

  /** The clock may have been set back since: it is asked anew, once an epoch, for to ask it for each record takes long. */
  forget(): void {
    this.knownTo = Number.NEGATIVE_INFINITY
  }

  /** Why a record of this time and timestamp is to be rejected, if it is: WEIR_RECORD_AHEAD. */
  errorOf(ms: number, timestamp: number | undefined): WeirError | undefined {
    const own = timestamp !== undefined && isTimestamp(timestamp) ? timestamp : undefined
    if (own !== undefined && ms - own > this.aheadMs) return aheadError(ms, "the record's own timestamp", own)
    const first = own ?? ms
    if (first <= this.knownTo || this.aheadMs === Number.POSITIVE_INFINITY) return undefined
    const now = this.clock.now()
    this.knownTo = now + this.aheadMs
    return first > this.knownTo ? aheadError(first, 'the clock', now) : undefined
  }
}

function aheadError(ms: number, of: string, own: number): WeirError {
  const message = `reading the event time: ${timeText(ms)} is ahead of ${of}, ${timeText(own)}`
  return new WeirError('WEIR_RECORD_AHEAD', message, {
    hint: 'Is it in ms? Raise maxAhead of eventTime, or set it to false, if such times are meant.',
  })
}
