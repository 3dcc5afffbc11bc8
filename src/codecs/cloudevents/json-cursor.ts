export const [quote, comma, colon] = [0x22, 0x2c, 0x3a]
export const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]
const [backslash, minus, plus, dot, zero] = [0x5c, 0x2d, 0x2b, 0x2e, 0x30]
/** What a byte is in a text: printable ASCII, its end, the beginning of an escape, what else it may have; or nothing of it. */
const [ordinary, closing, escaping, unusual, none] = [0, 1, 2, 3, 4]
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === quote) return closing
  if (byte === backslash) return escaping
  if (byte < 0x20) return none
  return byte > 0x7e ? unusual : ordinary
})
const spaces = new Set(Array.from(' \n\r\t', (character) => character.charCodeAt(0)))
const escapes = new Set(Array.from('"\\/bfnrt', (character) => character.charCodeAt(0)))
const fourDigits = /^[\da-f]{4}$/i

/**
 * Goes over JSON from value to value, and makes none of what it passes. It takes what `JSON.parse` takes and nothing else, but
 * for what nests too deep; a byte order mark is passed over. Errors: SyntaxError.
 */
export class JsonCursor {
  /** Where it is, in bytes. */
  at: number
  /** Whether the text that was passed last is one of printable ASCII, with nothing escaped. */
  isPlain = true
  /** All of it as text, where a part of that is a part of the bytes at the same place. */
  private readonly text: string | undefined

  constructor(
    /** UTF-8. */
    readonly bytes: Buffer,
    text: string,
    /** How deep arrays and objects may nest in a value that is passed. */
    private readonly depth: number,
    /** Whether what is read may outlive the rest: a part of a text holds all of it, and is quicker to make than a copy. */
    readonly copies = false,
  ) {
    this.at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
    // Any other character than those of ASCII takes more bytes than it has units of text.
    this.text = text.length === bytes.length ? text : undefined
  }

  /** The next byte that is no white space; -1 at the end. */
  peek(): number {
    const code = this.bytes[this.at] as number
    return code > 0x20 ? code : this.afterSpace()
  }

  /** Goes past this character, if it is the next. */
  takes(code: number): boolean {
    if (this.peek() !== code) return false
    this.at++
    return true
  }

  /** Goes past this character. */
  expect(code: number): void {
    if (!this.takes(code)) throw this.unexpected(`'${String.fromCharCode(code)}'`)
  }

  /** Nothing but white space may follow. */
  end(): void {
    if (this.peek() !== -1) throw this.unexpected('nothing more')
  }

  /** Goes past these bytes, if they are the next. */
  passes(written: Uint8Array): boolean {
    const { bytes, at } = this
    const { length } = written
    if (at + length > bytes.length) return false
    // What is of another length, or ends otherwise, differs here.
    if (bytes[at + length - 1] !== written[length - 1] || bytes[at + length - 2] !== written[length - 2]) return false
    for (let index = 0; index < length; index++) if (bytes[at + index] !== written[index]) return false
    this.at = at + length
    return true
  }

  /** Reads a text. */
  string(copies = this.copies): string {
    const { bytes, text } = this
    const start = this.at + 1
    this.skipString()
    const end = this.at - 1
    if (!this.isPlain) return JSON.parse(bytes.toString('utf8', start - 1, end + 1)) as string
    return copies || text === undefined ? bytes.toString('latin1', start, end) : text.slice(start, end)
  }

  /** Reads the name of a member, and goes past its colon. */
  name(): string {
    if (this.peek() !== quote) throw this.unexpected('the name of a member')
    const name = this.string()
    this.expect(colon)
    return name
  }

  /** Goes past a value, and gives its text. */
  value(copies = this.copies): string {
    this.peek()
    const start = this.at
    this.skip(this.depth)
    return this.since(start, copies)
  }

  /** What lies between there and here. */
  since(start: number, copies = this.copies): string {
    const { bytes, text, at } = this
    return copies || text === undefined ? bytes.toString('utf8', start, at) : text.slice(start, at)
  }

  private afterSpace(): number {
    const { bytes } = this
    let { at } = this
    while (at < bytes.length && spaces.has(bytes[at] as number)) at++
    this.at = at
    return bytes[at] ?? -1
  }

  private skip(depth: number): void {
    const code = this.peek()
    if (code === quote) return this.skipString()
    if (code === openObject) return this.skipObject(depth)
    if (code === openArray) return this.skipArray(depth)
    if (code === minus || isDigit(code)) return this.skipNumber()
    if (code === 0x74) return this.skipWord('true')
    if (code === 0x66) return this.skipWord('false')
    if (code === 0x6e) return this.skipWord('null')
    throw this.unexpected('a value')
  }

  private skipObject(depth: number): void {
    this.enter(depth)
    if (this.takes(closeObject)) return
    do {
      if (this.peek() !== quote) throw this.unexpected('the name of a member')
      this.skipString()
      this.expect(colon)
      this.skip(depth - 1)
    } while (this.takes(comma))
    this.expect(closeObject)
  }

  private skipArray(depth: number): void {
    this.enter(depth)
    if (this.takes(closeArray)) return
    do this.skip(depth - 1)
    while (this.takes(comma))
    this.expect(closeArray)
  }

  private enter(depth: number): void {
    if (depth === 0) throw new SyntaxError(`it nests deeper than ${this.depth}`)
    this.at++
  }

  private skipString(): void {
    const { bytes } = this
    let at = this.at + 1
    let isPlain = true
    for (;;) {
      let kind: number | undefined
      do kind = kinds[bytes[at++] as number]
      while (kind === ordinary)
      if (kind === closing) break
      if (kind === escaping) at = this.afterEscape(at)
      else if (kind !== unusual) throw this.unexpected('a character of a text', at - 1)
      isPlain = false
    }
    this.at = at
    this.isPlain = isPlain
  }

  private afterEscape(at: number): number {
    const code = this.bytes[at] as number
    if (escapes.has(code)) return at + 1
    if (code === 0x75 && fourDigits.test(this.bytes.toString('latin1', at + 1, at + 5))) return at + 5
    throw this.unexpected('an escape of JSON', at)
  }

  private skipNumber(): void {
    const { bytes } = this
    let { at } = this
    if (bytes[at] === minus) at++
    at = bytes[at] === zero ? at + 1 : this.afterDigits(at)
    if (bytes[at] === dot) at = this.afterDigits(at + 1)
    const code = bytes[at]
    if (code === 0x65 || code === 0x45) {
      const sign = bytes[at + 1]
      at = this.afterDigits(sign === plus || sign === minus ? at + 2 : at + 1)
    }
    this.at = at
  }

  private afterDigits(start: number): number {
    const { bytes } = this
    let at = start
    while (isDigit(bytes[at] as number)) at++
    if (at === start) throw this.unexpected('a digit', at)
    return at
  }

  private skipWord(word: string): void {
    const { bytes, at } = this
    for (let index = 0; index < word.length; index++)
      if (bytes[at + index] !== word.charCodeAt(index)) throw this.unexpected('a value')
    this.at += word.length
  }

  private unexpected(expected: string, at = this.at): SyntaxError {
    const { bytes } = this
    if (at >= bytes.length) return new SyntaxError(`it ends where ${expected} is expected`)
    const found = String.fromCodePoint(bytes.toString('utf8', at, at + 4).codePointAt(0) as number)
    return new SyntaxError(`expected ${expected} at byte ${at}, got ${JSON.stringify(found)}`)
  }
}

function isDigit(code: number): boolean {
  return code >= zero && code <= 0x39
}

/** JSON that an attribute can't be, as it is written. */
export class JsonToken {
  constructor(readonly text: string) {}
}
