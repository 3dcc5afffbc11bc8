import type { Position, TopicPartition, WeirError } from '../../model/index.js'
import type { GroupPosition, SeenTopic } from './facts.js'
import type { Finding } from './findings.js'

/** What came of a command of `TopicBeginning`. */
export type BeginningEvent =
  | Described
  | { readonly on: 'committed'; readonly positions: readonly GroupPosition[] }
  | { readonly on: 'bounded'; readonly starts: readonly Position[]; readonly ends: readonly Position[] }
  | { readonly on: 'found'; readonly positions: readonly Position[] }

export interface Described {
  readonly on: 'described'
  /** Undefined where there is no such topic. */
  readonly seen: ReadonlyMap<string, SeenTopic | undefined>
}

/** What is to be done next, and by which event that is answered. */
export type BeginningCommand =
  /** Asks what topics are. → described */
  | { readonly do: 'describe'; readonly topics: readonly string[] }
  /** Asks for the positions of the group. → committed */
  | { readonly do: 'ask the group'; readonly partitions: readonly TopicPartition[] }
  /** Asks where partitions begin and end, after a while. → bounded */
  | { readonly do: 'bound'; readonly partitions: readonly TopicPartition[]; readonly afterMs: number }
  /** Asks where the first records of a time or later lie. → found */
  | { readonly do: 'find'; readonly partitions: readonly TopicPartition[]; readonly time: number }
  /** Tells the findings, and reads from there. */
  | {
      readonly do: 'begin'
      readonly positions: readonly Position[]
      readonly seen: ReadonlyMap<string, SeenTopic>
      readonly findings: readonly Finding[]
    }
  | Refuse

/** Tells the findings, and fails. */
export interface Refuse {
  readonly do: 'refuse'
  readonly error: WeirError
  readonly findings: readonly Finding[]
}

/** What happens to who watches. */
export type WatchEvent =
  /** It is time to look. */
  | { readonly on: 'look' }
  | (Described & { readonly readings: readonly Reading[] })
  | { readonly on: 'bounded'; readonly bounds: readonly Bounds[] }
  /** What was commanded failed. */
  | { readonly on: 'failed' }

/** How far a partition is read, and for how long nothing has come of it, ms of reading. */
export interface Reading extends Position {
  readonly silentMs: number
  /** Tells its topic, as it was when reading began, from others of its name. */
  readonly id: string | undefined
}

/** The ends of a partition's log, undefined where nobody told them, and where it is read by the time that they are known. */
export interface Bounds extends TopicPartition {
  readonly position: number | undefined
  readonly start: number | undefined
  readonly end: number | undefined
}

export type WatchCommand =
  /** Asks what topics are, and tells how far they are read by then. → described */
  | { readonly do: 'describe'; readonly topics: readonly string[] }
  /** Tells the findings, reads topics or holds them, and asks for the ends of partitions. → bounded */
  | ({ readonly do: 'bound'; readonly partitions: readonly Position[] } & Found)
  /** The same, reads on elsewhere, and does nothing until the next look. */
  | ({ readonly do: 'rest'; readonly moves: readonly Position[] } & Found)
  /** Tells the findings, and ends the reading with the error, once what was read is committed. */
  | (Omit<Refuse, 'do'> & { readonly do: 'end' })

export interface Found {
  readonly findings: readonly Finding[]
  /** Of which topics nothing is read, or again. */
  readonly held: ReadonlyMap<string, boolean>
}

export function unexpected(state: string, event: { readonly on: string }): Error {
  return new Error(`topics: '${event.on}' can't happen while ${state}`)
}
