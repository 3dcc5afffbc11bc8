import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { ViewTables } from '../../model/index.js'

/** What is answered of each table: keys and what is shown of them. A key with undefined is left out. */
export type ViewAnswer = Readonly<Record<string, Iterable<readonly [key: string, shown: unknown]>>>

/** The keys of a table and their values; empty when there is no such table. */
export type ReadTable<T = unknown> = (table: string) => ReadonlyMap<string, T>

export type AnswerOf = (table: ReadTable, query: never) => ViewAnswer

/** How much smaller answers are not worth compressing, bytes. */
const gzipFrom = 1_024
/** How many different questions are remembered, until the content changes. */
const most = 200

/** One answer, in the forms in which it is sent. */
export class Answer {
  readonly text: string
  /** Weak, for it is the same whether compressed or not. */
  readonly etag: string
  private compressed: Buffer | undefined

  /** @param tables What is shown, as JSON, by table and key in the order in which it is sent. */
  constructor(readonly tables: ReadonlyMap<string, ReadonlyMap<string, string>>) {
    this.text = textOf(tables)
    this.etag = `W/"${createHash('sha256').update(this.text).digest('base64url').slice(0, 22)}"`
  }

  get isWorthCompressing(): boolean {
    return this.text.length >= gzipFrom
  }

  get gzipped(): Buffer {
    return (this.compressed ??= gzipSync(this.text))
  }
}

/** The answers to questions about one content; they are made once, and forgotten when it changes. */
export class Answers {
  private tag: string | undefined
  private readonly made = new Map<string, Answer>()

  /** Without a function every table is shown as it is. */
  constructor(private readonly answer: AnswerOf | undefined) {}

  /** @param question What tells it apart from others: the parameters as they came. */
  of({ tag, tables }: { tag: string; tables: ViewTables }, question: string, query: unknown, top: number): Answer {
    if (tag !== this.tag || this.made.size >= most) this.made.clear()
    this.tag = tag
    let answer = this.made.get(question)
    if (answer === undefined) this.made.set(question, (answer = this.make(tables, query, top)))
    return answer
  }

  private make(tables: ViewTables, query: unknown, top: number): Answer {
    const answered = this.answer?.((table) => tables.get(table) ?? none, query as never) ?? Object.fromEntries(tables)
    return new Answer(new Map(Object.entries(answered).map(([name, shown]) => [name, ordered(shown, top)])))
  }
}

const none: ReadonlyMap<string, unknown> = new Map()

/** The largest values first, and keys in order where values are alike or no numbers: the same in every replica. */
function ordered(shown: ViewAnswer[string], top: number): ReadonlyMap<string, string> {
  const all = [...shown].filter(([, value]) => value !== undefined)
  all.sort(([aKey, a], [bKey, b]) => weight(b) - weight(a) || (aKey < bKey ? -1 : 1))
  return new Map(all.slice(0, top).map(([key, value]) => [key, JSON.stringify(value)]))
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
