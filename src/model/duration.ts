import { z } from 'zod'
import { longestTimerMs } from './steady-scheduler.js'
import { isTime } from './time.js'

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export type Duration = number | `${number}${keyof typeof unitsMs}`

/** `'500ms'`, `'30s'`, `'5m'`, `'1h'`, `'7d'`, or a number of ms. */
export function durationMs(duration: Duration): number {
  if (typeof duration === 'number') return duration
  const match = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) : null
  if (match === null) throw new TypeError(`'${duration}' is no duration: write '500ms', '30s', '5m', '1h' or '7d'`)
  return Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs]
}

/** The same in its largest whole unit: `90s`, `1h`. */
export function durationText(ms: number): string {
  const units = Object.entries(unitsMs).reverse()
  const [unit, unitMs] = units.find(([, unitMs]) => ms % unitMs === 0) ?? ['ms', 1]
  return `${ms / unitMs}${unit}`
}

/** A duration in a stage's options; it comes out in ms. None leads beyond what dates there are. */
export const duration = z
  .custom<Duration>((value) => {
    try {
      const ms = durationMs(value as Duration)
      return ms >= 0 && isTime(ms)
    } catch {
      return false
    }
  }, "expected a duration such as '500ms', '30s' or '5m'")
  .transform((value) => durationMs(value))

/** One that would leave no time for what it is about, were it 0. */
export const someTime = duration.refine((ms) => ms >= 1, "expected '1ms' or more")

/** A duration that the timer of a client takes, which would fire at once if it were longer than 24.8 days. */
export const clientDuration = duration.refine((ms) => ms <= longestTimerMs, "expected no more than '24d'")
