import { createParser, type EventSourceMessage } from 'eventsource-parser'

/** What is kept of an event that is too long. */
const headLength = 16_384

/** As many times the longest event is skipped at the most, to find the end of one that is longer. */
const skippedEvents = 8

/** An event goes on and on: only another connection can come to the next one. */
export class EndlessEvent extends Error {
  constructor() {
    super('an event does not end')
  }
}

/** One event of a stream, or the beginning of one that is longer than the limit. */
export interface ServerEvent {
  /** Its own `id:`, which may be empty; undefined when it has none. */
  readonly id: string | undefined
  /** Its `event:`; undefined when it has none, which means `message`. */
  readonly type: string | undefined
  readonly data: string
  readonly isTooLong: boolean
}

/** A block with an id and no data is no event, and moves the id that the stream goes on after all the same. */
export interface IdAlone {
  readonly id: string
  readonly data: undefined
}

/**
 * Makes events of the bytes of one response, wherever they are cut: in the midst of a line, a line ending or a character.
 * Bytes that are no UTF-8 become U+FFFD; an event that is not complete at the end never comes.
 *
 * The fields are read by eventsource-parser, which is given whole events only. So what is held back is known, and bounded.
 */
export class Decoder {
  private readonly text = new TextDecoder()
  private readonly parser = createParser({
    onEvent: (event) => this.events.push(this.checked(event)),
    onRetry: (ms) => this.onRetry(ms),
  })
  private events: (ServerEvent | IdAlone)[] = []
  /** The pieces of an event that is not complete yet. */
  private held: string[] = []
  private heldLength = 0
  /** The line before ended with CR: an LF that comes now belongs to it. */
  private endsWithCr = false
  private endsWithLine = false
  private isSkipping = false
  private skippedLength = 0

  constructor(
    private readonly maxEventBytes: number,
    private readonly onRetry: (ms: number) => void,
  ) {}

  /** The events that these bytes complete. Errors: `EndlessEvent`. */
  decode(bytes: Uint8Array): readonly (ServerEvent | IdAlone)[] {
    this.events = []
    const text = this.withLineFeeds(this.text.decode(bytes, { stream: true }))
    if (text !== '') {
      this.take(this.isSkipping ? this.skip(text) : text)
      this.endsWithLine = text.endsWith('\n')
    }
    return this.events
  }

  private withLineFeeds(decoded: string): string {
    const text = this.endsWithCr && decoded.startsWith('\n') ? decoded.slice(1) : decoded
    if (decoded !== '') this.endsWithCr = decoded.endsWith('\r')
    return text.includes('\r') ? text.replaceAll('\r\n', '\n').replaceAll('\r', '\n') : text
  }

  private take(text: string): void {
    const end = text.lastIndexOf('\n\n') + 2
    const complete = end >= 2 ? end : this.endsWithLine && text.startsWith('\n') ? 1 : 0
    if (complete > 0) {
      this.parse(this.held.join('') + text.slice(0, complete))
      this.held = []
      this.heldLength = 0
    }
    const rest = text.slice(complete)
    // Comments that keep a connection alive must not add up to an event that is too long.
    this.hold(this.held.length === 0 ? rest.replace(/^(?::[^\n]*\n)+/, '') : rest)
  }

  private parse(text: string): void {
    // The parser takes an id with NUL for none at all; the specification ignores the line.
    const lines = text.includes('\0') ? text.replace(/^id:.*\0.*$/gm, ':') : text
    const blocks = lines.split('\n\n')
    if (blocks.every((block) => block === '' || hasData.test(block))) return this.parser.feed(lines)
    for (const block of blocks) {
      this.parser.feed(`${block}\n\n`)
      const id = hasData.test(block) ? undefined : idOf(block)
      if (id !== undefined) this.events.push({ id, data: undefined })
    }
  }

  private hold(text: string): void {
    if (text === '') return
    this.held.push(text)
    this.heldLength += text.length
    if (this.heldLength <= this.maxEventBytes) return
    const all = this.held.join('')
    if (/^:[^\n]*$/.test(all)) {
      // A comment is no event, however long its line is.
      this.held = [':']
      this.heldLength = 1
      return
    }
    const data = headOf(all)
    this.events.push({ id: /^id: ?(.*)$/m.exec(data)?.[1], type: undefined, data, isTooLong: true })
    this.held = []
    this.heldLength = 0
    this.skippedLength = 0
    this.isSkipping = true
  }

  /** What comes after the end of the event that is too long. */
  private skip(text: string): string {
    const isAtEnd = this.endsWithLine && text.startsWith('\n')
    const end = text.indexOf('\n\n')
    if (!isAtEnd && end === -1) {
      this.skippedLength += text.length
      if (this.skippedLength > skippedEvents * this.maxEventBytes) throw new EndlessEvent()
      return ''
    }
    this.isSkipping = false
    return text.slice(isAtEnd ? 1 : end + 2)
  }

  private checked({ id, event: type, data }: EventSourceMessage): ServerEvent {
    // A character has three bytes at the most, so that most events need not be measured.
    const isTooLong = data.length * 3 > this.maxEventBytes && Buffer.byteLength(data) > this.maxEventBytes
    return { id, type, data: isTooLong ? headOf(data) : data, isTooLong }
  }
}

const hasData = /^data(?::|$)/m

/** The last `id` field of a block. */
function idOf(block: string): string | undefined {
  return [...block.matchAll(/^id(?:: ?(.*))?$/gm)].map(([, id = '']) => id).at(-1)
}

/** A copy, so that the whole is not kept in memory by its beginning. */
function headOf(text: string): string {
  return Buffer.from(text.slice(0, headLength)).toString()
}
