import { type StreamRecord, UnencodableError } from '../../model/index.js'

/** A value for a key of a table in a view. */
export interface ViewEntry<T = unknown> {
  /** The name of the table: any text without the character 0. */
  readonly table: string
  readonly key: string
  /** Absolute, and something that JSON can carry; undefined removes the key. */
  readonly value: T | undefined
  /**
   * When the value is no longer shown: a time of the stream (ms, or a date). The watermark reaches it, in flows that have
   * an `eventTime`.
   */
  readonly expires?: number | Date | undefined
}

export type EntriesOf = (value: never, record: StreamRecord) => ViewEntry | readonly ViewEntry[]

/** What a value has made, as a list of entries. Errors: `UnencodableError` where one of them can't be kept or shown. */
export function checkedEntries(made: unknown): readonly ViewEntry[] {
  const entries: readonly unknown[] = Array.isArray(made) ? made : [made]
  for (const entry of entries) check(entry)
  return entries as readonly ViewEntry[]
}

function check(entry: unknown): void {
  if (typeof entry !== 'object' || entry === null) throw refused(`${String(entry)} in place of an entry`)
  const { table, key, value, expires = 0 } = entry as Record<keyof ViewEntry, unknown>
  if (typeof table !== 'string' || table.includes('\0')) throw refused('its table is no text without the character 0')
  if (typeof key !== 'string') throw refused(`a ${typeof key} is no key`)
  if (Number.isNaN(Number(expires))) throw refused('its `expires` is no time')
  checkValue(value)
}

function checkValue(value: unknown): void {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === undefined)
    return
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new UnencodableError(error)
  }
  if (text === undefined) throw refused(`a ${typeof value} can't be shown`)
}

function refused(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
