import type { OutboxLimits } from './outbox.js'

/** What callers of the port may take of the process, whatever they do. */
export interface HttpLimits extends OutboxLimits {
  /** How many connections are taken; more are closed at once. */
  readonly connections: number
  /** What the bodies of all requests may take until they are answered, bytes; more are answered with 503. */
  readonly bodyBytes: number
  /** How long a caller may take to send its headers, and then its whole request, ms. */
  readonly headersMs: number
  readonly requestMs: number
  /** How often slow callers are looked for, ms. */
  readonly sweepMs: number
}

const mebibyte = 1 << 20

export const httpLimits: HttpLimits = {
  connections: 1_000,
  bodyBytes: 64 * mebibyte,
  headersMs: 10_000,
  requestMs: 20_000,
  unreadBytes: 64 * mebibyte,
  stalledMs: 10_000,
  behindMs: 30_000,
  bytesPerMs: 64,
  sweepMs: 1_000,
}
