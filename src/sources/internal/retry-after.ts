/** What a `Retry-After` header asks for, in seconds or as a date: ms from now on; 0 without one. */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0
  if (/^\d+$/.test(header)) return Number(header) * 1_000
  return Math.max(0, (Date.parse(header) || 0) - now)
}
