import { carried } from './encode.js'
import type { Column } from './table-columns.js'

/** Longer texts are encoded faster by a call than by a loop. */
const long = 128
const firstRoom = 65_536
/** UTF-8 has up to three bytes for what a text has one of, and an escape two. */
const most = 3

const [tab, newline, carriageReturn, backslash] = [0x09, 0x0a, 0x0d, 0x5c]
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Rows in COPY's text format, as bytes from the start: a text of all rows would be put together of very many parts, searched
 * for what has to be escaped, and then encoded, and the collector would carry those parts about until then.
 */
export class CopyText {
  private bytes = Buffer.allocUnsafeSlow(firstRoom)
  private used = 0

  /** Adds one field of a row. Errors: `UnencodableError` for text that UTF-8 can't carry. */
  field(text: string | null, column: Column, isLast: boolean): void {
    if (text === null) this.append('\\N')
    else if (text.length > long || !this.appendPlain(text)) this.append(escaped(text, column))
    this.reserve(1)
    this.bytes[this.used++] = isLast ? newline : tab
  }

  /** All rows. */
  get sent(): Buffer {
    return this.bytes.subarray(0, this.used)
  }

  /** Adds ASCII that needs no escapes, and returns false for anything else. */
  private appendPlain(text: string): boolean {
    this.reserve(text.length)
    const { bytes, used } = this
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code > 0x7f || code === backslash || code === newline || code === tab || code === carriageReturn) return false
      bytes[used + index] = code
    }
    this.used += text.length
    return true
  }

  private append(text: string): void {
    this.reserve(most * text.length)
    this.used += this.bytes.write(text, this.used)
  }

  private reserve(length: number): void {
    if (this.used + length <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(2 * this.bytes.length + length)
    this.bytes.copy(bytes, 0, 0, this.used)
    this.bytes = bytes
  }
}

function escaped(text: string, column: Column): string {
  return carried(text, column).replace(/[\\\n\r\t]/g, (character) => escapes[character] ?? character)
}
