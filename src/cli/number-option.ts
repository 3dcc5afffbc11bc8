import { UsageError } from './io.js'

/** Digits and nothing else: what is empty, a variable that nobody has set, is no 0. */
export function wholeNumber(text: string): number | undefined {
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined
}

/** Errors: `UsageError`. */
export function countOption(option: string, text: string, what: string): number {
  const count = wholeNumber(text) ?? 0
  if (count > 0) return count
  throw new UsageError(`${option}: '${text}' is no number of ${what}, such as 20`)
}

/** The partition that is asked for; undefined where none is. Errors: `UsageError`. */
export function partitionOption(text: string | undefined): number | undefined {
  const partition = text === undefined ? undefined : wholeNumber(text)
  if (text === undefined || partition !== undefined) return partition
  throw new UsageError(`--partition: '${text}' is no number of a partition, such as 0`)
}
