import { createHash } from 'node:crypto'
import { catchError, concat, defer, EMPTY, ignoreElements, type Observable, tap, throwError } from 'rxjs'
import { BlobFault } from './blob-fault.js'
import type { BlobWriter } from './blob-store.js'
import type { BlobRequests, Upload } from './requests.js'
import { sameContent } from './same-content.js'

/** Writes a file by requests: in one when it is small, else part by part, as soon as one is full. */
export class UploadWriter implements BlobWriter {
  heldBytes = 0
  private held: Uint8Array[] = []
  private readonly hash = createHash('sha256')
  private totalBytes = 0
  private parts = 0
  private upload: Upload | undefined

  constructor(
    private readonly requests: BlobRequests,
    private readonly name: string,
  ) {}

  write(piece: Uint8Array): Observable<never> {
    return defer(() => {
      this.hash.update(piece)
      this.held.push(piece)
      this.heldBytes += piece.length
      this.totalBytes += piece.length
      return this.flush()
    })
  }

  complete(): Observable<never> {
    return defer(() => {
      const last = this.take(this.heldBytes)
      const stored$ = this.upload?.complete(this.parts, last) ?? this.requests.put(this.name, last)
      return stored$.pipe(catchError((error: unknown) => this.settle(error)))
    })
  }

  abort(): Observable<never> {
    return defer(() => {
      this.take(this.heldBytes)
      return this.upload?.abort() ?? EMPTY
    })
  }

  /** What follows a full part is not empty: the last part must not be. */
  private flush(): Observable<never> {
    const { partBytes } = this.requests
    if (this.heldBytes <= partBytes) return EMPTY
    return concat(
      defer(() => this.begun()),
      defer(() => this.upload?.part(this.parts, this.take(partBytes)) ?? EMPTY),
      defer(() => {
        this.parts++
        return this.flush()
      }),
    )
  }

  private begun(): Observable<never> {
    if (this.upload !== undefined) return EMPTY
    return this.requests.begin(this.name).pipe(
      tap((upload) => {
        this.upload = upload
      }),
      ignoreElements(),
    )
  }

  /** So many bytes of what is held, the first ones. */
  private take(bytes: number): Uint8Array {
    const all = this.held.length === 1 ? (this.held[0] as Uint8Array) : Buffer.concat(this.held, this.heldBytes)
    this.heldBytes -= bytes
    this.held = this.heldBytes > 0 ? [all.subarray(bytes)] : []
    return all.subarray(0, bytes)
  }

  /**
   * Something lies there already, or the upload is gone: an answer may have been lost to a request that was then repeated, or
   * somebody else may have written the same file.
   */
  private settle(error: unknown): Observable<never> {
    if (!(error instanceof BlobFault) || error.isPassing || error.kind === 'WEIR_BLOB_NAME')
      return throwError(() => error)
    const written = { bytes: this.totalBytes, digest: this.hash.copy().digest() }
    const gone$ = this.abort().pipe(catchError(() => EMPTY))
    return concat(sameContent(this.requests, this.name, written, error), gone$).pipe(
      catchError((fault: unknown) =>
        concat(
          gone$,
          throwError(() => fault),
        ),
      ),
    )
  }
}
