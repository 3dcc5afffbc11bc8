import type { JsonCursor } from './json-cursor.js'
import { KnownTexts } from './known-texts.js'

/** The name of a member. */
export interface Name {
  readonly text: string
  /** As it is written, quotes and colon included. */
  readonly written: Buffer
  /** Texts that it had before, where they are few. */
  readonly values: KnownTexts | undefined
}

const slots = 256
/** How many bytes a name has that is known again. */
const mostBytes = 64
const usual = ['id', 'subject', 'time', 'data', 'data_base64']
const repeating = ['specversion', 'source', 'type', 'datacontenttype', 'dataschema']

/**
 * The names of members that were read before, so that one is known again by its bytes, with no text made of it: events have
 * the same ones all the time. A name for which there is no slot is read anew.
 */
export class Names {
  private readonly known: (Name | undefined)[] = Array.from({ length: slots + 1 })

  constructor() {
    for (const text of repeating) this.learn(named(text, new KnownTexts()))
    for (const text of usual) this.learn(named(text))
  }

  /** Reads the name that comes next, and goes past its colon. */
  read(cursor: JsonCursor): Name {
    cursor.peek()
    const start = cursor.at
    const slot = slotOf(cursor.bytes, start)
    const first = this.known[slot]
    if (first !== undefined && cursor.passes(first.written)) return first
    const second = this.known[slot + 1]
    if (second !== undefined && cursor.passes(second.written)) return second
    const name = named(cursor.name())
    if (cursor.isPlain && cursor.at - start <= mostBytes) this.learn(name)
    return name
  }

  private learn(name: Name): void {
    // Nearly always a text follows.
    const slot = slotOf(Buffer.concat([name.written, Buffer.from('"')]), 0)
    const free = this.known[slot] === undefined ? slot : slot + 1
    this.known[free] ??= name
  }
}

function named(text: string, values?: KnownTexts): Name {
  return { text, written: Buffer.from(`"${text}":`), values }
}

/** By what common names differ in. */
function slotOf(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 1] as number) + 5 * (bytes[at + 2] as number) + 11 * (bytes[at + 5] as number)) % slots
}
