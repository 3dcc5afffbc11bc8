import { isoReader } from '../model/index.js'
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
