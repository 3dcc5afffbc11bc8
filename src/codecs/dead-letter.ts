import { type Header, place } from '../model/index.js'

/** What a record was when it was read, as far as its dead letter tells. */
interface LetterOrigin {
  readonly topic: string
  /** Undefined where it isn't told. */
  readonly partition: number | undefined
  /** -1 of a result, which was made of many records and lies nowhere. */
  readonly offset: number | undefined
  /** ms. */
  readonly timestamp: number | undefined
}

/** A dead letter as its headers tell of it, whoever wrote it. */
export interface LetterFacts {
  /** `other` are those with `x-original-*`; `unknown`, those of which nothing is told. */
  readonly writer: 'weir' | 'connect' | 'spring' | 'other' | 'unknown'
  readonly origin: LetterOrigin | undefined
  /** The flow; of others the connector, or the consumer group. */
  readonly flow: string | undefined
  readonly stage: string | undefined
  /** A code of Weir's; of others the class of the exception. */
  readonly code: string | undefined
  readonly message: string | undefined
  readonly stack: string | undefined
  /** How many epochs had tried the record. */
  readonly attempts: number | undefined
  /** How often the record had been replayed before it failed. */
  readonly replays: number
  /** What of the record is not as it was: `weir.cut`. */
  readonly cut: readonly string[]
  /** The headers that the record had itself. */
  readonly headers: readonly Header[]
}

/** Says how often a record was replayed; it travels with the record. */
export const replaysHeader = 'weir.replays'

const connect = '__connect.errors.'
const spring = 'kafka_dlt-'
const others = ['x-original-', 'x-exception-']

/** The header of each kind of letter without which it is none, and how the rest is read. */
const kinds = [
  { mark: 'weir.error.code', read: readWeir },
  { mark: `${connect}topic`, read: readConnect },
  { mark: `${spring}original-topic`, read: readSpring },
  { mark: 'x-original-topic', read: readOther },
] as const

/**
 * Reads the headers of a dead letter: Weir's, Kafka Connect's (numbers as text), Spring Kafka's (numbers as big-endian
 * bytes), and `x-original-*`, which Spring Cloud Stream writes in bytes and everybody else as text. A record may have been
 * a dead letter before: what counts was written last.
 */
export function readLetter(headers: readonly Header[]): LetterFacts {
  const given = headers.flatMap((header) => Object.entries(header))
  const names = given.map(([name]) => name)
  const found = kinds
    .map(({ mark, read }) => ({ at: names.lastIndexOf(mark), read }))
    .reduce((last, kind) => (kind.at > last.at ? kind : last), { at: -1, read: readUnknown })
  return found.read(new Given(given))
}

class Given {
  constructor(readonly all: readonly (readonly [string, Buffer | string | null])[]) {}

  text(...names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.all.findLast(([given]) => given === name)?.[1]
      if (value !== undefined && value !== null) return value.toString()
    }
    return undefined
  }

  /** Digits; else 4 or 8 bytes, which in any number that occurs are no digits. */
  number(name: string): number | undefined {
    const value = this.all.findLast(([given]) => given === name)?.[1] ?? ''
    const text = value.toString()
    if (/^-?\d+$/.test(text)) return safe(Number(text))
    if (!Buffer.isBuffer(value)) return undefined
    if (value.length === 4) return value.readInt32BE()
    return value.length === 8 ? safe(Number(value.readBigInt64BE())) : undefined
  }

  origin(prefix: string): LetterOrigin | undefined {
    const topic = this.text(`${prefix}topic`)
    if (topic === undefined) return undefined
    const [partition, offset, timestamp] = ['partition', 'offset', 'timestamp'].map((name) =>
      this.number(`${prefix}${name}`),
    )
    return { topic, partition, offset, timestamp }
  }

  get replays(): number {
    return this.number(replaysHeader) ?? 0
  }

  /** What stands before the last of that name. */
  before(name: string): Header[] {
    return this.all
      .slice(
        0,
        this.all.findLastIndex(([given]) => given === name),
      )
      .map(headerOf)
  }

  /** All but the last of each name that begins so. */
  without(prefixes: readonly string[]): Header[] {
    const left = new Set<string>()
    return this.all
      .toReversed()
      .filter(([name]) => {
        if (left.has(name) || !prefixes.some((prefix) => name.startsWith(prefix))) return true
        left.add(name)
        return false
      })
      .toReversed()
      .map(headerOf)
  }
}

function readWeir(given: Given): LetterFacts {
  const facts = readConnect(given)
  const timestamp = given.number('weir.timestamp')
  const cut = given.text('weir.cut')?.split(',') ?? []
  return {
    ...facts,
    writer: 'weir',
    origin: facts.origin && { ...facts.origin, timestamp: cut.includes('timestamp') ? timestamp : undefined },
    flow: given.text('weir.flow'),
    stage: given.text('weir.stage'),
    code: given.text('weir.error.code'),
    attempts: given.number('weir.attempts'),
    cut,
  }
}

function readConnect(given: Given): LetterFacts {
  return {
    writer: 'connect',
    origin: given.origin(connect),
    flow: given.text(`${connect}connector.name`),
    stage: given.text(`${connect}stage`),
    code: given.text(`${connect}exception.class.name`),
    message: given.text(`${connect}exception.message`),
    stack: given.text(`${connect}exception.stacktrace`),
    attempts: undefined,
    replays: given.replays,
    cut: [],
    // It adds its own in one go, the topic first.
    headers: given.before(`${connect}topic`),
  }
}

function readSpring(given: Given): LetterFacts {
  const what = (name: string) => given.text(`${spring}exception-${name}`, `${spring}key-exception-${name}`)
  return {
    writer: 'spring',
    origin: given.origin(`${spring}original-`),
    flow: given.text(`${spring}original-consumer-group`),
    stage: undefined,
    // What the listener threw; around it is Spring's own.
    code: given.text(`${spring}exception-cause-fqcn`) ?? what('fqcn'),
    message: what('message'),
    stack: what('stacktrace'),
    attempts: given.number('retry_topic-attempts'),
    replays: given.replays,
    cut: [],
    headers: given.without([spring]),
  }
}

function readOther(given: Given): LetterFacts {
  return {
    writer: 'other',
    origin: given.origin('x-original-'),
    flow: given.text('x-original-consumer-group'),
    stage: undefined,
    code: given.text('x-exception-fqcn', 'x-error-class', 'x-error-type', 'x-error-name'),
    message: given.text('x-exception-message', 'x-error-message', 'x-error'),
    stack: given.text('x-exception-stacktrace'),
    attempts: undefined,
    replays: given.replays,
    cut: [],
    headers: given.without(others),
  }
}

function readUnknown(given: Given): LetterFacts {
  return {
    writer: 'unknown',
    origin: undefined,
    flow: undefined,
    stage: undefined,
    code: undefined,
    message: undefined,
    stack: undefined,
    attempts: undefined,
    replays: given.replays,
    cut: [],
    headers: given.all.map(headerOf),
  }
}

/** The place that a letter without a key was keyed by, where its topic asks for a key. */
export function placeOfOrigin({ origin }: LetterFacts): string | undefined {
  if (origin?.partition === undefined || origin.offset === undefined) return undefined
  return place({ topic: origin.topic, partition: origin.partition, offset: origin.offset })
}

/** A header may have no value, and then no client can write it again: it becomes an empty one. */
function headerOf([name, value]: readonly [string, Buffer | string | null]): Header {
  return { [name]: value ?? '' }
}

function safe(number: number): number | undefined {
  return Number.isSafeInteger(number) ? number : undefined
}
