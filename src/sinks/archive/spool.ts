import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { concatMap, defer, EMPTY, ignoreElements, lastValueFrom, mergeMap, type Observable, of } from 'rxjs'

const pieceBytes = 4 << 20

/** What is to be stored, until it is: bytes that are written one after the other, and read any number of times. */
export interface Spool {
  /** How many bytes are in it. */
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
  open(): Spool
}

/**
 * Spools in files of a folder, which have no names: what is in them comes again from the topic, so that they are not synced,
 * need not outlive the process, and leave nothing behind whatever ends it.
 */
export function spoolsIn(folder: string): Spools {
  return { open: () => new FileSpool(folder) }
}

class FileSpool implements Spool {
  bytes = 0
  private handle: FileHandle | undefined
  private isRemoved = false
  /** One after the other; the first that fails is what the others fail of. */
  private last: Promise<void> = Promise.resolve()

  constructor(private readonly folder: string) {}

  append(pieces$: Observable<Uint8Array>): void {
    const written$ = pieces$.pipe(
      concatMap((piece) => this.write(piece)),
      ignoreElements(),
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
    this.last = this.last
      .catch(() => undefined)
      .then(() => this.handle?.close())
      .catch(() => undefined)
  }

  private async write(piece: Uint8Array): Promise<void> {
    this.handle ??= await this.open()
    await this.handle.appendFile(piece)
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
