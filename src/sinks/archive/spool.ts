import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { concatMap, defer, EMPTY, ignoreElements, lastValueFrom, mergeMap, type Observable, of, takeUntil } from 'rxjs'
import type { BreakerState } from './breaker.js'
import { fileFault } from './file/faults.js'
import { Signal } from './signal.js'
import { type ResilienceContext, Trying } from './trying.js'

const pieceBytes = 4 << 20

/** What is to be stored, until it is: bytes that are written one after the other, and read any number of times. */
export interface Spool {
  /** How many bytes are in it, or were when it was removed. */
  readonly bytes: number
  /** Takes what comes of this once all before it is in. Errors show in `flush` and `readAt`. */
  append(pieces$: Observable<Uint8Array>): void
  /** Completes when all that was appended is in it. */
  flush(): Observable<never>
  /** Some bytes from an offset on; empty at the end. Asked for piece by piece, so that no more than one is in memory. */
  readAt(offset: number): Observable<Uint8Array>
  remove(): void
}

/** Makes spools. */
export interface Spools {
  /** Whether anything can be put into them at present; if not, since when and why. */
  readonly state: BreakerState
  open(): Spool
  /** Remove those that are open before: they would wait for ever. */
  close(): void
}

/**
 * Spools in files of a folder, which have no names: what is in them comes again from the topic, so that they are not synced,
 * need not outlive the process, and leave nothing behind whatever ends it. Where the disk is full they wait until it is not.
 */
export function spoolsIn(folder: string, context: ResilienceContext): Spools {
  const trying = new Trying(`the spool ${folder}`, context)
  return {
    get state() {
      return trying.state
    },
    open: () => new FileSpool(folder, trying),
    close: () => trying.close(),
  }
}

class FileSpool implements Spool {
  bytes = 0
  private handle: FileHandle | undefined
  private isRemoved = false
  private readonly removed = new Signal()
  /** What the system is still at, even when nobody waits for it any more. */
  private busy: Promise<unknown> = Promise.resolve()
  /** One after the other; the first that fails is what the others fail of. */
  private last: Promise<void> = Promise.resolve()

  constructor(
    private readonly folder: string,
    private readonly trying: Trying,
  ) {}

  append(pieces$: Observable<Uint8Array>): void {
    const written$ = pieces$.pipe(
      concatMap((piece) => this.trying.request(() => this.write(piece))),
      takeUntil(this.removed.happens$),
    )
    this.last = this.last.then(() =>
      this.isRemoved ? undefined : lastValueFrom(written$, { defaultValue: undefined }),
    )
    // Whoever waits for it is told.
    this.last.catch(() => undefined)
  }

  flush(): Observable<never> {
    return defer(() => this.last).pipe(ignoreElements())
  }

  readAt(offset: number): Observable<Uint8Array> {
    return defer(() => this.piece(offset)).pipe(mergeMap((piece) => (piece.length === 0 ? EMPTY : of(piece)), 1))
  }

  remove(): void {
    this.isRemoved = true
    this.removed.tell()
    this.last = this.last
      .catch(() => undefined)
      .then(() => this.busy)
      .then(() => this.handle?.close())
      .catch(() => undefined)
  }

  /** Where it failed in the middle it is written anew, over what is there of it. */
  private write(piece: Uint8Array): Observable<never> {
    return defer(() => {
      const written = this.busy.then(() => this.put(piece))
      this.busy = written.catch(() => undefined)
      return written
    }).pipe(ignoreElements())
  }

  private async put(piece: Uint8Array): Promise<void> {
    try {
      this.handle ??= await this.open()
      // One call may write less than it was given.
      for (let done = 0; done < piece.length; ) {
        const left = piece.length - done
        done += (await this.handle.write(piece, done, left, this.bytes + done)).bytesWritten
      }
    } catch (error) {
      throw fileFault(`keeping in ${this.folder} what waits to be stored`, error)
    }
    this.bytes += piece.length
  }

  private async piece(offset: number): Promise<Uint8Array> {
    await this.last
    const length = Math.min(pieceBytes, this.bytes - offset)
    if (this.handle === undefined || length <= 0) return new Uint8Array()
    const { bytesRead, buffer } = await this.handle.read(Buffer.allocUnsafe(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

  private async open(): Promise<FileHandle> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const path = join(this.folder, randomUUID())
    const handle = await open(path, 'wx+', 0o600)
    await unlink(path)
    return handle
  }
}
