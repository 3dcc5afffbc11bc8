export const [quote, comma, colon] = [0x22, 0x2c, 0x3a]
export const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]
const [backslash, minus, plus, dot, zero, e] = [0x5c, 0x2d, 0x2b, 0x2e, 0x30, 0x65]
const escapes = new Set(Array.from('"\\/bfnrt', (character) => character.charCodeAt(0)))
const fourDigits = /^[\da-f]{4}$/i

/**
 * Goes over JSON text from value to value, and makes none of what it passes. It takes what `JSON.parse` takes and nothing
 * else, but for what nests too deep; a byte order mark is passed over. Errors: SyntaxError.
 */
export class JsonCursor {
  /** Where in the text it is. */
  at: number
  /** Whether the text that was passed last is one of printable ASCII, with nothing escaped. */
  isPlain = true

  constructor(
    readonly text: string,
    /** How deep arrays and objects may nest in a value that is passed. */
    private readonly depth: number,
  ) {
    this.at = text.charCodeAt(0) === 0xfeff ? 1 : 0
  }

  /** The next character that is no white space; NaN at the end. */
  peek(): number {
    const { text } = this
    let { at } = this
    let code = text.charCodeAt(at)
    while (code <= 0x20 && (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)) {
      code = text.charCodeAt(++at)
    }
    this.at = at
    return code
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
    if (!Number.isNaN(this.peek())) throw this.unexpected('nothing more')
  }

  /** Reads a text. */
  string(): string {
    const start = this.at + 1
    this.skipString()
    if (this.isPlain) return this.text.slice(start, this.at - 1)
    return JSON.parse(this.text.slice(start - 1, this.at)) as string
  }

  /** Reads the name of a member, and goes past its colon. */
  name(): string {
    if (this.peek() !== quote) throw this.unexpected('the name of a member')
    const name = this.string()
    this.expect(colon)
    return name
  }

  /** Goes past a value, and gives its text. */
  value(): string {
    this.peek()
    const start = this.at
    this.skip(this.depth)
    return this.text.slice(start, this.at)
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
    const { text } = this
    let at = this.at + 1
    let isPlain = true
    for (;;) {
      const code = text.charCodeAt(at++)
      if (code === quote) break
      if (code === backslash) {
        isPlain = false
        at = this.afterEscape(at)
      } else if (code > 0x7e) isPlain = false
      else if (!(code >= 0x20)) throw this.unexpected('a character of a text', at - 1)
    }
    this.at = at
    this.isPlain = isPlain
  }

  private afterEscape(at: number): number {
    const { text } = this
    if (escapes.has(text.charCodeAt(at))) return at + 1
    if (text[at] === 'u' && fourDigits.test(text.slice(at + 1, at + 5))) return at + 5
    throw this.unexpected('an escape of JSON', at)
  }

  private skipNumber(): void {
    const { text } = this
    if (text.charCodeAt(this.at) === minus) this.at++
    if (text.charCodeAt(this.at) === zero) this.at++
    else this.skipDigits()
    if (text.charCodeAt(this.at) === dot) {
      this.at++
      this.skipDigits()
    }
    if ((text.charCodeAt(this.at) | 0x20) !== e) return
    this.at++
    const sign = text.charCodeAt(this.at)
    if (sign === plus || sign === minus) this.at++
    this.skipDigits()
  }

  private skipDigits(): void {
    const { text } = this
    let { at } = this
    while (isDigit(text.charCodeAt(at))) at++
    if (at === this.at) throw this.unexpected('a digit')
    this.at = at
  }

  private skipWord(word: string): void {
    if (!this.text.startsWith(word, this.at)) throw this.unexpected('a value')
    this.at += word.length
  }

  private unexpected(expected: string, at = this.at): SyntaxError {
    const { text } = this
    if (at >= text.length) return new SyntaxError(`it ends where ${expected} is expected`)
    const found = JSON.stringify(String.fromCodePoint(text.codePointAt(at) as number))
    return new SyntaxError(`expected ${expected} at position ${at}, got ${found}`)
  }
}

function isDigit(code: number): boolean {
  return code >= zero && code <= 0x39
}

/** JSON that an attribute can't be, as it is written. */
export class JsonToken {
  constructor(readonly text: string) {}
}
