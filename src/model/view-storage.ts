import type { Observable } from 'rxjs'
import type { EpochTransaction } from './checkpoint.js'
import { WeirError } from './errors.js'

/** The part of a view that one source partition of one task makes. Keys of different parts differ. */
export interface ViewPart {
  /** `<app><path>`, such as `weir/stats`: unique where several apps share a storage. */
  readonly view: string
  /** Names the task and the partition. */
  readonly part: string
}

export interface ViewClaim extends ViewPart {
  /** The generation under which the partition was acquired; each acquisition has one of its own. */
  readonly generation: number
  /** The task that makes the part, and how many parts it makes, all replicas together. */
  readonly task: string
  readonly total: number
}

/** A value in a table of a view. Keys are any text, also an empty one; values are what JSON can carry. */
export interface ViewRow {
  readonly table: string
  readonly key: string
  readonly value: unknown
}

/** What an epoch changed in a part, or all that there is in it. Values are absolute, so that repeats change nothing. */
export interface ViewWrite extends ViewClaim {
  /** Counts the changes of a part: by it the next owner knows whether something is missing. Read back by `claim`. */
  readonly sequence: number
  /** Whether all that the part had goes first. */
  readonly replaces: boolean
  readonly rows: readonly ViewRow[]
  /** Keys that are no more. None of them is in `rows`. */
  readonly removed: readonly Pick<ViewRow, 'table' | 'key'>[]
  /** When the epoch was committed, ms since the Unix epoch. */
  readonly at: number
}

export type ViewTables = ReadonlyMap<string, ReadonlyMap<string, unknown>>

/** Puts a row into the table that it names, which is made where it is missing. */
export function putRow(tables: Map<string, Map<string, unknown>>, { table: name, key, value }: ViewRow): void {
  let table = tables.get(name)
  if (table === undefined) tables.set(name, (table = new Map<string, unknown>()))
  table.set(key, value)
}

/** All parts of a view together. */
export interface ViewContent {
  /** Differs whenever the content does. */
  readonly tag: string
  /** The latest `at` of its writes; 0 when there was none. */
  readonly at: number
  /** False while it is known that something is missing, and before anything was written. */
  readonly isWhole: boolean
  /** Tables that have no keys may be missing. Not to be changed. */
  readonly tables: ViewTables
}

/**
 * Where views are kept, so that every replica can answer for all of them. It is a projection of what the checkpoint
 * store has: it may be lost, and is written anew then. One contract suite holds for every kind.
 * Errors, other than those that are named: WEIR_SINK_UNREACHABLE.
 */
export interface ViewStorage {
  /** Told while stages are built which tasks make a view, where a storage that begins empty has to wait for them. */
  expect?(view: string, task: string): void
  /** Completes when it can be used; makes the tables that it needs. Called once for each stage that uses it. */
  open(): Observable<never>
  /**
   * Takes a part over: writes of another generation are refused from now on, and the last claim counts (generations
   * begin anew where checkpoints were thrown away). Emits the sequence of the part's last write, or undefined when
   * nothing was written: when it is not the one that the owner expects, the owner replaces the part.
   */
  claim(claim: ViewClaim): Observable<number | undefined>
  /**
   * Writes rows, all or none where the system can; else the sequence comes last, so that a torn write is noticed.
   * With a transaction they become visible when that commits; it is one of the same connection.
   * Errors: WEIR_CHECKPOINT_FENCED when the part is claimed by another generation, or by none; nothing is written then.
   */
  write(write: ViewWrite, transaction?: EpochTransaction): Observable<never>
  /**
   * Emits what the view has, or nothing when that is still what `known` is the tag of. Called a few times a second at
   * most, so that it should find out cheaply that nothing has changed.
   */
  read(view: string, known?: string): Observable<ViewContent>
  /** Takes in what other replicas write while it is subscribed, where that does not come with reading. */
  follow?(view: string): Observable<never>
}

/** A write of a part that is another generation's; undefined when it is nobody's. */
export function refusedError({ view, part, generation }: ViewClaim, now: number | undefined): WeirError {
  const why = now === undefined ? 'nobody has claimed it' : `it is of generation ${now} now`
  return new WeirError('WEIR_CHECKPOINT_FENCED', `writing view ${view}: ${part} of generation ${generation}: ${why}`, {
    remedy: 'retry',
    hint: 'Another task has taken it over; this one claims what it still has.',
  })
}
