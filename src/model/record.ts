/** A header as Kafka has it: a list of one-entry objects, so that order and repeats survive. */
export type Header = Readonly<Record<string, Buffer | string>>
export type Key = Buffer | string | null

/**
 * A record as its source read it, before any stage touched it.
 * A dead letter carries these bytes; `topic-partition@offset` is how logs and errors name it.
 */
export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key?: Key | undefined
  readonly value?: unknown
  readonly timestamp?: number | undefined
  readonly headers?: readonly Header[] | undefined
  /** Where an internal topic brought it: the record that it was made of, as its source read that. */
  readonly from?: Origin | undefined
  /** Where a retry topic brought it back, and how often it had been tried by then. */
  readonly retried?: Retried | undefined
}

/** The place in a retry topic that a record was read at, and how often it had been tried. */
export interface Retried {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly attempts: number
}

/**
 * What flows through the stages. One hidden class for all of them: a stage never changes a record and never spreads
 * it, it derives the next one by `with` or `at`.
 */
export class StreamRecord<V = unknown> {
  constructor(
    readonly key: Key,
    readonly value: V,
    /**
     * Event time, ms since the Unix epoch. A record of Kafka that has none says -1, as the broker does: it is no time, and
     * is written to Kafka as none again.
     */
    readonly timestamp: number,
    readonly headers: readonly Header[],
    readonly origin: Origin,
    /**
     * By how many ms the record trails the stream time of its source partition at the moment it passed `eventTime`.
     * It travels with the record, so lateness never depends on what an asynchronous stage still holds back.
     */
    readonly behindMs: number = 0,
  ) {}

  /** The same record with another value. */
  with<W>(value: W): StreamRecord<W> {
    return new StreamRecord(this.key, value, this.timestamp, this.headers, this.origin, this.behindMs)
  }

  /** The same record under another key. */
  keyed(key: Key): StreamRecord<V> {
    return new StreamRecord(key, this.value, this.timestamp, this.headers, this.origin, this.behindMs)
  }

  /** The same record at another event time. */
  at(timestamp: number, behindMs: number): StreamRecord<V> {
    return new StreamRecord(this.key, this.value, timestamp, this.headers, this.origin, behindMs)
  }
}

export const noHeaders: readonly Header[] = Object.freeze([])

export const correlationHeader = 'weir.correlation-id'

/** The value of the last header of that name, as text. */
export function headerOf(headers: readonly Header[], name: string): string | undefined {
  for (let index = headers.length - 1; index >= 0; index--) {
    const found = headers[index]?.[name]
    if (found !== undefined) return found.toString()
  }
  return undefined
}

/** The id that follows a record through logs and systems: the header's, or else where the record was read. */
export function correlationOf(record: StreamRecord): string {
  return headerOf(record.headers, correlationHeader) ?? place(record.origin.from ?? record.origin)
}

/** `topic-partition@offset`, as logs, errors and dead letters name a record. */
export function place({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string {
  return `${topic}-${partition}@${offset}`
}
