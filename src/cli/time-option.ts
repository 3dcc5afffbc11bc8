import { type Duration, durationMs, isoReader } from '../model/index.js'
import { UsageError } from './io.js'

/** The time that an option has, ms; undefined where it isn't given. Errors: `UsageError`. */
export function timeOption(option: string, text: string): number
export function timeOption(option: string, text: string | undefined): number | undefined
export function timeOption(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = isoReader()(text)
  if (Number.isNaN(ms)) throw new UsageError(`${option}: '${text}' is no time; write 2026-01-31T12:00:00Z`)
  return ms
}

/** The same, where `10m` is ten minutes before now. */
export function momentOption(option: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (isDuration(text)) return now - durationMs(text)
  const ms = isoReader()(text)
  if (Number.isNaN(ms))
    throw new UsageError(`${option}: '${text}' is no time; write 2026-01-31T12:00:00Z, or 10m for ten minutes ago`)
  return ms
}

function isDuration(text: string): text is Extract<Duration, string> {
  return /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)
}
