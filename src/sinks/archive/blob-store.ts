import type { Observable } from 'rxjs'
import type { BreakerState } from './breaker.js'

/**
 * A place for files, all of whose names are relative to where it begins, with `/` between folders. It never overwrites.
 * What fails is tried again for as long as it takes, or as long as the store was told: then its errors are
 * WEIR_BLOB_UNREACHABLE and WEIR_BLOB_REFUSED. Others are named below; a name that can't be is WEIR_BLOB_NAME.
 */
export interface BlobStore {
  /** Where it is, for people: `s3://bucket/prefix`. No secrets. */
  readonly address: string
  /** Whether it is asked for anything at present; if not, since when and why. */
  readonly state: BreakerState
  /** What `state` is, and each change of it. */
  readonly state$: Observable<BreakerState>
  /** Begins a file that is not there yet. Nothing is asked of the store before something is written. */
  create(name: string): BlobWriter
  /** All files whose names begin so, in no order that is promised; none that is half written. */
  list(prefix: string): Observable<BlobEntry>
  /**
   * The bytes of a file, or a part of them, as they come: nobody is waited for, so that a large file is best read range by
   * range. Errors: WEIR_BLOB_MISSING.
   */
  read(name: string, range?: ByteRange): Observable<Uint8Array>
  /** Completes when the file is gone, or was not there. */
  remove(name: string): Observable<never>
  /**
   * Throws away what writers have left behind that ended without a word before this time, in ms of the wall clock, and tells
   * the name of each. One that is still at work would have to begin anew: leave a day. Others may write to the same place:
   * `isOurs` says by its name which file is nobody else's. It is tried once.
   */
  sweep(before: number, isOurs?: (name: string) => boolean): Observable<string>
  /** Frees all that it holds. Leave what is under way before: it would wait for ever. */
  close(): Observable<never>
}

export interface BlobEntry {
  readonly name: string
  readonly bytes: number
}

/** The first byte, and the one behind the last. */
export interface ByteRange {
  readonly from: number
  readonly to: number
}

/**
 * A file that is being written: `write` as often as need be, one after the other, then `complete`, or `abort` at any time.
 * Nothing is visible under its name before it is complete.
 */
export interface BlobWriter {
  /** How many bytes of it wait here, in memory. */
  readonly heldBytes: number
  /** Takes a piece, whose bytes must not be changed any more; completes when there is room for the next. */
  write(piece: Uint8Array): Observable<never>
  /**
   * Completes when the file is there for good. It may be there already, from somebody who wrote the same bytes.
   * Errors: WEIR_BLOB_CONFLICT when something else lies there, WEIR_BLOB_MISSING when somebody has swept it away.
   */
  complete(): Observable<never>
  /** Throws away what was written; after an error, too. It is tried once: what is left of it then is for `sweep`. */
  abort(): Observable<never>
}
