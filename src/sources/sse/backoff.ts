const firstBackoffMs = 500
const longestBackoffMs = 30_000

/** The longest time that a stream may ask to wait for by `retry:`. Nobody sees meanwhile that nothing is read. */
const longestRetryMs = 300_000

/** And the shortest: of one that asks for none, and ends each answer at once, there would be no end of requests. */
const shortestRetryMs = 20

/**
 * How long to wait before the next attempt: the stream's reconnection time after a connection that gave something, longer
 * with each one in a row that gave nothing. Up to half as long again by chance, so that the clients of a server that
 * starts again do not all come at once.
 */
export class Backoff {
  private failures = 0

  constructor(private reconnectMs: number) {}

  /** The stream says how long to wait: `retry:`. Returns how long that will be, ms. */
  retry(ms: number): number {
    return (this.reconnectMs = Math.min(Math.max(ms, shortestRetryMs), longestRetryMs))
  }

  succeeded(): void {
    this.failures = 0
  }

  failed(): void {
    this.failures++
  }

  nextMs(): number {
    const backoffMs = this.failures === 0 ? 0 : Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.failures - 1))
    return Math.round(Math.max(this.reconnectMs, backoffMs) * (1 + Math.random() / 2))
  }
}
