import { asJson, type StreamRecord, UnencodableError, wellFormed } from '../../model/index.js'

/** A value for a key of a table in a view. */
export interface ViewEntry<T = unknown> {
  /** The name of the table: text of up to 200 characters, none of which is the character 0. */
  readonly table: string
  /** Text of up to 10,000 characters. */
  readonly key: string
  /**
   * Absolute, and something that JSON carries as it is, of up to 400,000 bytes (a date becomes its text); undefined
   * removes the key.
   */
  readonly value: T | undefined
  /**
   * When the value is no longer shown: a time of the stream (ms, or a date). The watermark reaches it, in flows that have
   * an `eventTime`.
   */
  readonly expires?: number | Date | undefined
}

export type EntriesOf = (value: never, record: StreamRecord) => ViewEntry | readonly ViewEntry[]

/** How long a table's name and a key may be, and a value as JSON in bytes: so much every storage of views takes. */
const most = { table: 200, key: 10_000, value: 400_000 } as const

/** What a value has made, as a list of entries. Errors: `UnencodableError` where one of them can't be kept or shown. */
export function checkedEntries(made: unknown): readonly ViewEntry[] {
  const entries: readonly unknown[] = Array.isArray(made) ? made : [made]
  return entries.map(checked)
}

function checked(entry: unknown): ViewEntry {
  if (typeof entry !== 'object' || entry === null) throw refused(`${String(entry)} in place of an entry`)
  const { table, key, value, expires } = entry as Record<keyof ViewEntry, unknown>
  if (typeof key !== 'string') throw refused(`a ${typeof key} is no key`)
  if (typeof table !== 'string') throw refused(`a ${typeof table} is no name of a table`)
  if (table.includes('\0')) throw refused('the name of its table has the character 0')
  checkName(table, 'the name of its table', most.table)
  checkName(key, 'its key', most.key)
  const end = Number(expires ?? 0)
  if (Number.isNaN(end)) throw refused('its `expires` is no time')
  return { table, key, value: shown(value), ...(expires === undefined ? {} : { expires: end }) }
}

function checkName(name: string, what: string, length: number): void {
  if (name.length > length) throw refused(`${what} is longer than ${length} characters`)
  wellFormed(name)
}

/** What is shown, wherever it is kept, is JSON. */
function shown(value: unknown): unknown {
  if (value === undefined || typeof value === 'boolean' || Number.isFinite(value)) return value
  const json = asJson(value)
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  // No character has more than three bytes of UTF-8.
  const bytes = 3 * text.length > most.value ? Buffer.byteLength(text) : 0
  if (bytes > most.value) throw refused(`a value of ${bytes} bytes is more than a view takes (${most.value})`)
  return json
}

function refused(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
