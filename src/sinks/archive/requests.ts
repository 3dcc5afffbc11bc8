import type { Observable } from 'rxjs'
import type { BlobEntry, ByteRange } from './blob-store.js'

/**
 * What a store is asked, one request each, as its adapter speaks to it. Each can be asked again whatever became of it
 * before, and ends really when it is left. Errors: `BlobFault`.
 */
export interface BlobRequests {
  readonly address: string
  /** A file goes up in parts of so many bytes; one that has no more, in one request. */
  readonly partBytes: number
  /** Writes a whole file. Errors: WEIR_BLOB_CONFLICT when there is one of that name, which may be this very one. */
  put(name: string, bytes: Uint8Array): Observable<never>
  /** Begins a file of more than one part. */
  begin(name: string): Observable<Upload>
  /** How large a file is; completes without a word when there is none. */
  stat(name: string): Observable<number>
  /** Errors: WEIR_BLOB_MISSING. */
  read(name: string, range: ByteRange): Observable<Uint8Array>
  /** Some of the files, and where to go on. */
  list(prefix: string, from?: string): Observable<Page<BlobEntry>>
  remove(name: string): Observable<never>
  /** Some of the uploads that never ended, and where to go on. */
  unfinished(from?: string): Observable<Page<Unfinished>>
  close(): Observable<never>
}

/** A file on its way. Errors: WEIR_BLOB_MISSING when the store knows of no such upload, or no longer. */
export interface Upload {
  /** Each part is full, and they come in order, from 0. */
  part(index: number, bytes: Uint8Array): Observable<never>
  /** The last part, which has at least one byte. Errors: as `put`. */
  complete(index: number, bytes: Uint8Array): Observable<never>
  abort(): Observable<never>
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Where the next page begins, if there is one. */
  readonly next?: string | undefined
}

export interface Unfinished {
  readonly name: string
  /** When it was begun, or last written to, ms of the wall clock. */
  readonly since: number
  drop(): Observable<never>
}
