import type { Key } from './record.js'
import type { StoreKey } from './store.js'

/** What records can be grouped by. Bytes that are UTF-8 are the same key as their text, as they are on the wire. */
export type GroupKey = Key | number

/** No text begins with it by chance: it is no character. */
const mark = '\uFFFF'
const [bytesMark, textMark] = [`${mark}b`, `${mark}t`]

/**
 * A key as stores hold it: one for each key, and another for any other. Text stays as it is, bytes become their text, and
 * bytes that are no text a form of their own. Nothing is a key as well, null.
 * Errors with a TypeError for what is none.
 */
export function storeKeyOf(key: GroupKey | undefined): StoreKey {
  if (typeof key === 'string') return key.charCodeAt(0) === 0xffff ? textMark + key : key
  if (key === null || key === undefined) return null
  if (typeof key === 'number') return key
  const text = textOf(key)
  return typeof text === 'string' ? storeKeyOf(text) : bytesMark + text.toString('latin1')
}

/** The key that a store holds so. */
export function groupKeyOf(stored: StoreKey): GroupKey {
  if (typeof stored !== 'string' || stored.charCodeAt(0) !== 0xffff) return stored
  const rest = stored.slice(bytesMark.length)
  return stored.startsWith(bytesMark) ? Buffer.from(rest, 'latin1') : rest
}

/** How much of a key an error tells. */
const shownLength = 200

/** The key that a store holds so, as errors tell it. */
export function keyText(stored: StoreKey): string {
  const key = groupKeyOf(stored)
  if (Buffer.isBuffer(key)) return `0x${key.toString('hex', 0, shownLength / 2)}`
  return typeof key === 'string' ? JSON.stringify(key.slice(0, shownLength)) : String(key)
}

/** A key of a group as a record has it. */
export function recordKeyOf(stored: StoreKey): Key {
  const key = groupKeyOf(stored)
  return typeof key === 'number' ? String(key) : key
}

/** The text of bytes; the bytes themselves where they are no UTF-8, and no text would lead back to them. */
export function textOf(bytes: Buffer): string | Buffer {
  if (!Buffer.isBuffer(bytes)) throw new TypeError(`a key is text, a number, a Buffer or null: this is ${typeof bytes}`)
  const text = bytes.toString()
  return text.includes('\uFFFD') && !Buffer.from(text).equals(bytes) ? bytes : text
}
