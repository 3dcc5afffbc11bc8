import { type ChannelMessage, type Header, headerOf, type Key, noHeaders, type Origin } from '../../model/index.js'

/** In the header of a record that waits in a retry topic; all else of it is as its source read it. */
export const retryHeader = 'weir.retry'

/** Why and until when a record waits, and where it was read. */
export interface RetryFacts {
  /** When it is tried again, ms, by the clock of who says so; and how long that was then, for other clocks may be wrong. */
  readonly due: number
  readonly wait: number
  /**
   * The partition that its task read it from, and a number that grows with each record of that: what comes again has it again.
   * Without them it was written in a transaction, and does not come again.
   */
  readonly from?: string
  readonly sequence?: number
  /** Where its source read it, and its timestamp there. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp?: number | undefined
  /** How often it has been tried. */
  readonly attempts: number
  readonly stage: string
  readonly code: string
  readonly error: string
  /** Of one that is to become a dead letter: the name of what was thrown, and its stack. */
  readonly stack?: string
}

/** A record as its source read it. */
export interface AsRead {
  readonly key: Key
  readonly value: Buffer | null
  readonly headers: readonly Header[]
}

export function asRead({ key = null, value, headers = noHeaders }: Origin): AsRead {
  return { key, value: (value ?? null) as Buffer | null, headers }
}

/** About how many bytes a message has that is made of it. */
export function sizeOf({ key, value, headers }: AsRead): number {
  const names = headers.flatMap((header) => Object.entries(header))
  const held = names.reduce((sum, [name, text]) => sum + name.length + Buffer.byteLength(text), 0)
  return held + (value?.length ?? 0) + (key === null ? 0 : Buffer.byteLength(key))
}

export function messageOf(record: AsRead, facts: RetryFacts): Omit<ChannelMessage, 'partition'> {
  const { key, value, headers } = record
  return { key, value, headers: [...headers, { [retryHeader]: JSON.stringify(facts) }] }
}

/** Undefined of what is no message of a retry topic. */
export function factsOf(headers: readonly Header[]): RetryFacts | undefined {
  try {
    const facts = JSON.parse(headerOf(headers, retryHeader) ?? '') as RetryFacts
    const { due, wait, topic, partition, offset, attempts, from, sequence } = facts
    const isWhole = [due, wait, partition, offset, attempts].every(Number.isFinite) && typeof topic === 'string'
    const isKnown = from === undefined || (typeof from === 'string' && Number.isFinite(sequence))
    return isWhole && isKnown ? facts : undefined
  } catch {
    return undefined
  }
}

/** The headers that it had before it went there. */
export function ownHeaders(headers: readonly Header[]): readonly Header[] {
  const last = headers.findLastIndex((header) => retryHeader in header)
  return last === -1 ? headers : headers.filter((_, index) => index !== last)
}
