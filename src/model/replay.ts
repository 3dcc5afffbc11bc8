import type { Header, Key } from './record.js'

/** A record of a dead letter as it is written again: as its source read it, but for what somebody changes. */
export interface ReplayedRecord {
  /** The topic that it is written to. */
  readonly topic: string
  /** Where it was; undefined is by the key. */
  readonly partition: number | undefined
  readonly key: Key
  /** As bytes; what is no bytes, text or null is written as JSON. */
  readonly value: unknown
  /** ms; -1 is none. */
  readonly timestamp: number
  readonly headers: readonly Header[]
}

/** Why a record failed, for whoever mends it. */
export interface LetterReason {
  /** Where the letter lies: `orders.dead-letters-0@17`. */
  readonly at: string
  readonly flow: string | undefined
  readonly stage: string | undefined
  /** A code of Weir's, or the class of an exception. */
  readonly code: string | undefined
  readonly message: string | undefined
}

/**
 * What `weir dlq replay --transform` calls for each record, the default export of a file: what is written in its place, or
 * undefined for a record that stays where it is.
 */
export type LetterTransform = (
  record: ReplayedRecord & { readonly value: Buffer | null },
  reason: LetterReason,
) => ReplayedRecord | undefined | Promise<ReplayedRecord | undefined>
