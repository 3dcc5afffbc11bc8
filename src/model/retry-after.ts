/**
 * What a `Retry-After` header asks for, in seconds or as a date: ms from now on; 0 without one. A date is one of the server's
 * clock, which `Date` tells, be it as wrong as it may; `now` stands in where that says nothing.
 */
export function retryAfterMs(header: string | null, date: string | null, now: number): number {
  if (header === null) return 0
  if (/^\d+$/.test(header)) return Number(header) * 1_000
  return Math.max(0, (Date.parse(header) || 0) - (Date.parse(date ?? '') || now))
}
