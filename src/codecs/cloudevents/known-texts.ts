import type { JsonCursor } from './json-cursor.js'

const mostTexts = 4
const mostUnits = 400
/** Where texts hardly repeat, one of so many is remembered: to do so takes longer than to read it. */
const missesPerText = 16

/** A few texts that were read and checked before, to be known again by their bytes. */
export class KnownTexts {
  private readonly known: { readonly text: string; readonly written: Buffer }[] = []
  private misses = 0

  /** Goes past the text that comes next, if it is one of these; all who get it share it. */
  read(cursor: JsonCursor): string | undefined {
    for (const { text, written } of this.known) if (cursor.passes(written)) return text
    return undefined
  }

  /** Takes a text of printable ASCII without quotes and backslashes, now and then. */
  learn(text: string): void {
    const { known } = this
    if (text.length > mostUnits) return
    if (known.length === mostTexts && this.misses++ % missesPerText !== 0) return
    const written = Buffer.from(`"${text}"`)
    // A copy, for the text may be a part of one that is much longer.
    known.unshift({ text: written.toString('latin1', 1, written.length - 1), written })
    if (known.length > mostTexts) known.pop()
  }
}
