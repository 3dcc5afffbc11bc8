/** The furthest that a `Date` reaches, ms. */
const furthestMs = 8.64e15

/** Whether it is a time that a `Date` can tell. */
export function isTime(ms: unknown): ms is number {
  return typeof ms === 'number' && ms >= -furthestMs && ms <= furthestMs
}

/** A time as text, also where it is none: an error must not fail at what it tells. */
export function timeText(ms: number): string {
  return isTime(ms) ? new Date(ms).toISOString() : `${String(ms)} ms`
}

/** Whether a record brought a timestamp of its own: -1 is how Kafka says that it has none. */
export function isTimestamp(ms: number): boolean {
  return ms !== -1 && isTime(ms)
}
