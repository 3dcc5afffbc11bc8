import {
  catchError,
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  EMPTY,
  filter,
  ignoreElements,
  type Observable,
  takeUntil,
  tap,
  throwError,
} from 'rxjs'
import type { TopicPartition } from '../../model/index.js'
import { BlobFault } from './blob-fault.js'
import type { BlobStore, BlobWriter } from './blob-store.js'
import type { Cut } from './cut.js'
import { bytesInSpool, bytesInStore } from './file-bytes.js'
import type { haveSameRecords } from './same-records.js'
import { Signal } from './signal.js'
import type { Spool } from './spool.js'

/** A file that was decided on, on its way from its spool into the store. */
export class Upload {
  isStored = false
  /** Whether it is stored in other bytes than those that were made here. */
  isOtherwise = false
  /** Why it could not be stored. */
  error: unknown
  /** Whether it is kept that something else lies in its place. */
  isNoted = false
  private hasBegun = false
  private isDropped = false
  private readonly dropped = new Signal()

  constructor(
    readonly partition: TopicPartition,
    readonly folder: string,
    readonly cut: Cut,
    private readonly spool: Spool,
    /** Since when its first record has waited, ms of the wall clock. */
    readonly since: number,
  ) {}

  get bytes(): number {
    return this.spool.bytes
  }

  /** Completes when all of it is on disk, and no longer in memory. */
  flush(): Observable<never> {
    return this.spool.flush()
  }

  /** Whether there is nothing more to come of it. */
  get isOver(): boolean {
    return this.isStored || this.error !== undefined
  }

  /** Whether something else lies in its place. */
  get isConflict(): boolean {
    return isConflict(this.error)
  }

  /** Whether it has begun and is not over: what is decided in an epoch waits for its commit. */
  get isRunning(): boolean {
    return this.hasBegun && !this.isOver
  }

  /** Begins, once its cut is committed, unless it has: then it returns false. */
  begin(): boolean {
    const isFirst = !this.hasBegun
    this.hasBegun = true
    return isFirst
  }

  /** Gives it up. */
  drop(): void {
    this.isDropped = true
    this.dropped.tell()
    this.spool.remove()
  }

  /** Stores it. Never fails: what comes of it is in `isStored` and `error`. */
  store(store: Pick<BlobStore, 'create' | 'list' | 'read'>, compare: typeof haveSameRecords): Observable<never> {
    return defer(() => {
      if (this.isDropped) return EMPTY
      let writer: BlobWriter | undefined
      const stored$ = defer(() => {
        const opened = store.create(this.cut.name)
        writer = opened
        return concat(
          this.spool.flush(),
          this.rest(opened.write.bind(opened), 0),
          defer(() => opened.complete()),
        )
      }).pipe(
        catchError((error: unknown) => this.settle(error, store, compare)),
        tap({ complete: () => (this.isStored = true) }),
        catchError((error: unknown) => {
          this.error = error
          return EMPTY
        }),
        takeUntil(this.dropped.happens$),
      )
      const cleared$ = defer(() => {
        if (!this.isStored) return writer?.abort() ?? EMPTY
        this.spool.remove()
        return EMPTY
        // What is left of it is swept some day.
      }).pipe(catchError(() => EMPTY))
      return concat(stored$, cleared$)
    })
  }

  /** Another version of Weir, or another compression, makes other bytes of the same records. */
  private settle(
    error: unknown,
    store: Pick<BlobStore, 'list' | 'read'>,
    compare: typeof haveSameRecords,
  ): Observable<never> {
    if (!isConflict(error)) return throwError(() => error)
    const { name } = this.cut
    return store.list(name).pipe(
      filter((entry) => entry.name === name),
      concatMap((entry) => compare(name, bytesInSpool(this.spool), bytesInStore(store, entry))),
      defaultIfEmpty(false),
      tap((isSame) => {
        if (!isSame) throw error
        this.isOtherwise = true
      }),
      ignoreElements(),
    )
  }

  private rest(write: (piece: Uint8Array) => Observable<never>, offset: number): Observable<never> {
    return defer(() => this.spool.readAt(offset)).pipe(
      concatMap((piece) => concat(write(piece), this.rest(write, offset + piece.length))),
    )
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof BlobFault && error.kind === 'WEIR_BLOB_CONFLICT'
}
