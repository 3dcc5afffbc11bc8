import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { ViewTables } from '../../model/index.js'

/** What is answered of each table: keys and what is shown of them. A key with undefined is left out. */
export type ViewAnswer = Readonly<Record<string, Iterable<readonly [key: string, shown: unknown]>>>

/** The keys of a table and their values; empty when there is no such table. */
export type ReadTable<T = unknown> = (table: string) => ReadonlyMap<string, T>

export type AnswerOf = (table: ReadTable, query: never) => ViewAnswer

/** Up to how many of the first keys are picked out; for more all are sorted. */
const mostPicked = 1_000
/** How much smaller answers are not worth compressing, bytes. */
const gzipFrom = 1_024
/** How many different questions are remembered, until the content changes. */
const most = 200
/** What remembered answers may take of memory, bytes; the last is remembered whatever it takes. */
const mostBytes = 32 << 20
/** What the answers may take that streams compare with, bytes. */
const mostTold = 128 << 20
/** What a key costs in a map, bytes. */
const keyBytes = 100

/** One answer, in the forms in which it is sent. */
export class Answer {
  /** JSON. */
  readonly body: Buffer
  /** Weak, for it is the same whether compressed or not. */
  readonly etag: string
  /** About what it takes of memory. */
  readonly bytes: number
  private compressed: Buffer | undefined

  /** @param tables What is shown, as JSON, by table and key in the order in which it is sent. */
  constructor(readonly tables: ReadonlyMap<string, ReadonlyMap<string, string>>) {
    this.body = Buffer.from(textOf(tables))
    this.etag = `W/"${createHash('sha256').update(this.body).digest('base64url').slice(0, 22)}"`
    const keys = [...tables.values()].reduce((sum, { size }) => sum + size, 0)
    this.bytes = 2 * this.body.length + keyBytes * keys
  }

  get isWorthCompressing(): boolean {
    return this.body.length >= gzipFrom
  }

  get gzipped(): Buffer {
    return (this.compressed ??= gzipSync(this.body))
  }
}

/** An answer, and when it was asked for last. */
interface Made {
  readonly answer: Answer
  asked: number
}

/** The answers to questions about one content; they are made once, and forgotten when it changes or they take too much. */
export class Answers {
  private tag: string | undefined
  private readonly made = new Map<string, Made>()
  /** Counts the questions, to tell which were asked last. */
  private asked = 0
  /** What streams hold, and how many of them. */
  private readonly told = new Map<Answer, number>()
  /** What each answer was made for: what streams hold need not be made again for others. */
  private readonly purposes = new WeakMap<Answer, string>()

  /** Without a function every table is shown as it is. */
  constructor(private readonly answer: AnswerOf | undefined) {}

  /** The answer that was made already for this content. */
  known(tag: string, question: string): Answer | undefined {
    const made = tag === this.tag ? this.made.get(question) : undefined
    if (made !== undefined) made.asked = ++this.asked
    return made?.answer
  }

  /** @param question What tells it apart from others: the parameters as they came. */
  of({ tag, tables }: { tag: string; tables: ViewTables }, question: string, query: unknown, top: number): Answer {
    const known = this.known(tag, question)
    if (known !== undefined) return known
    if (tag !== this.tag) this.made.clear()
    this.tag = tag
    const purpose = `${tag} ${question}`
    const held = [...this.told.keys()].find((answer) => this.purposes.get(answer) === purpose)
    const answer = held ?? this.make(tables, query, top)
    this.purposes.set(answer, purpose)
    this.made.set(question, { answer, asked: ++this.asked })
    this.forget()
    return answer
  }

  /** Whether streams hold so much that no other can be begun. */
  get isCrowded(): boolean {
    return this.told.size > 1 && bytesOf(this.told.keys()) > mostTold
  }

  /** A stream compares with this from now on, in place of what it had. False where that would take too much. */
  tell(answer: Answer, before: Answer | undefined): boolean {
    if (answer === before) return true
    // Of two it can be that one is what the other has become.
    const fits = this.told.has(answer) || this.told.size < 2 || bytesOf(this.told.keys()) + answer.bytes <= mostTold
    if (!fits) return false
    this.told.set(answer, (this.told.get(answer) ?? 0) + 1)
    this.untell(before)
    return true
  }

  /** A stream has ended. */
  untell(answer: Answer | undefined): void {
    if (answer === undefined) return
    const others = (this.told.get(answer) ?? 0) - 1
    if (others > 0) this.told.set(answer, others)
    else this.told.delete(answer)
  }

  /** Which was asked for last is forgotten last. */
  private forget(): void {
    let bytes = 0
    for (const { answer } of this.made.values()) bytes += answer.bytes
    while (this.made.size > 1 && (this.made.size > most || bytes > mostBytes)) {
      const [question, { answer }] = [...this.made].reduce((oldest, one) =>
        one[1].asked < oldest[1].asked ? one : oldest,
      )
      this.made.delete(question)
      bytes -= answer.bytes
    }
  }

  private make(tables: ViewTables, query: unknown, top: number): Answer {
    const answered = this.answer?.((table) => tables.get(table) ?? none, query as never) ?? Object.fromEntries(tables)
    const shown = new Answer(new Map(Object.entries(answered).map(([name, rows]) => [name, ordered(rows, top)])))
    // Streams may still have it, though it was forgotten.
    return [...this.told.keys()].find(({ etag }) => etag === shown.etag) ?? shown
  }
}

function bytesOf(answers: Iterable<Answer>): number {
  let sum = 0
  for (const { bytes } of answers) sum += bytes
  return sum
}

const none: ReadonlyMap<string, unknown> = new Map()

/** The largest values first, and keys in order where values are alike or no numbers: the same in every replica. */
function ordered(shown: ViewAnswer[string], top: number): ReadonlyMap<string, string> {
  const all = [...shown].filter(([, value]) => value !== undefined)
  const first = top < Math.min(all.length, mostPicked) ? picked(all, top) : all.sort(inOrder).slice(0, top)
  return new Map(first.map(([key, value]) => [key, JSON.stringify(value)]))
}

type Shown = readonly [key: string, shown: unknown]

function inOrder([aKey, a]: Shown, [bKey, b]: Shown): number {
  return weight(b) - weight(a) || (aKey < bKey ? -1 : 1)
}

/** The first of them in their order: a few of thousands are found in one look at each, where sorting takes a dozen. */
function picked(all: readonly Shown[], most: number): readonly Shown[] {
  const found: Shown[] = []
  for (const one of all) {
    if (found.length === most && (most === 0 || inOrder(one, found[most - 1]!) > 0)) continue
    let [low, high] = [0, found.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (inOrder(one, found[middle]!) < 0) high = middle
      else low = middle + 1
    }
    found.splice(low, 0, one)
    if (found.length > most) found.pop()
  }
  return found
}

function weight(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

/** JSON by hand: an object would put keys that look like numbers first. */
export function textOf(tables: ReadonlyMap<string, ReadonlyMap<string, string>>): string {
  const members = [...tables].map(([name, rows]) => {
    const pairs = [...rows].map(([key, value]) => `${JSON.stringify(key)}:${value}`)
    return `${JSON.stringify(name)}:{${pairs.join(',')}}`
  })
  return `{${members.join(',')}}`
}
