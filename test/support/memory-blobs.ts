import { concat, defer, EMPTY, from, type Observable, of, throwError } from 'rxjs'
import { BlobFault } from '../../src/sinks/archive/blob-fault.js'
import type { BlobEntry, ByteRange } from '../../src/sinks/archive/blob-store.js'
import type { BlobRequests, Page, Unfinished, Upload } from '../../src/sinks/archive/requests.js'

/** What becomes of a request, by its name: `put`, `begin`, `part`, `complete`, … Default: what it is for. */
type Meeting = (request: string, work$: Observable<never>) => Observable<never>

/** A store in memory, in which no time passes. */
export class MemoryBlobs implements BlobRequests {
  readonly address = 'memory://blobs'
  readonly partBytes = 4
  readonly files = new Map<string, Buffer>()
  readonly uploads = new Set<string>()
  /** What was asked. */
  readonly asked: string[] = []
  meeting: Meeting = (_, work$) => work$

  put(name: string, bytes: Uint8Array): Observable<never> {
    return this.met('put', () => this.store(name, Buffer.from(bytes)))
  }

  begin(name: string): Observable<Upload> {
    const parts: Buffer[] = []
    const keep = (index: number, bytes: Uint8Array) => void (parts[index] = Buffer.from(bytes))
    const upload: Upload = {
      part: (index, bytes) => this.met('part', () => keep(index, bytes)),
      complete: (index, bytes) =>
        this.met('complete', () => {
          if (!this.uploads.delete(name)) throw new BlobFault('WEIR_BLOB_MISSING', `${name}: there is no such upload`)
          keep(index, bytes)
          this.store(name, Buffer.concat(parts))
        }),
      abort: () => this.met('abort', () => void this.uploads.delete(name)),
    }
    return concat(
      this.met('begin', () => void this.uploads.add(name)),
      of(upload),
    )
  }

  stat(name: string): Observable<number> {
    return concat(
      this.met('stat', () => undefined),
      defer(() => from([this.files.get(name)?.length].filter((size) => size !== undefined))),
    )
  }

  read(name: string, { from: start, to }: ByteRange): Observable<Uint8Array> {
    return concat(
      this.met('read', () => undefined),
      defer(() => {
        const found = this.files.get(name)
        if (found !== undefined) return of(found.subarray(start, to))
        return throwError(() => new BlobFault('WEIR_BLOB_MISSING', `${name}: there is no such file`))
      }),
    )
  }

  list(prefix: string): Observable<Page<BlobEntry>> {
    return concat(
      this.met('list', () => undefined),
      defer(() => {
        const all = [...this.files].map(([name, { length }]) => ({ name, bytes: length }))
        return of({ items: all.filter(({ name }) => name.startsWith(prefix)) })
      }),
    )
  }

  remove(name: string): Observable<never> {
    return this.met('remove', () => void this.files.delete(name))
  }

  unfinished(): Observable<Page<Unfinished>> {
    const drop = (name: string) => () => this.met('drop', () => void this.uploads.delete(name))
    return defer(() => of({ items: [...this.uploads].map((name) => ({ name, since: 0, drop: drop(name) })) }))
  }

  close(): Observable<never> {
    return EMPTY
  }

  private store(name: string, bytes: Buffer): void {
    if (this.files.has(name)) throw new BlobFault('WEIR_BLOB_CONFLICT', `${name} is there already`)
    this.files.set(name, bytes)
  }

  private met(request: string, work: () => void): Observable<never> {
    return defer(() => {
      this.asked.push(request)
      return this.meeting(
        request,
        defer(() => {
          work()
          return EMPTY
        }),
      )
    })
  }
}
