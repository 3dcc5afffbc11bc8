import {
  concatMap,
  defer,
  EMPTY,
  endWith,
  expand,
  filter,
  from,
  map,
  mergeMap,
  type Observable,
  of,
  throwIfEmpty,
} from 'rxjs'
import { BlobFault } from './blob-fault.js'
import { checkName } from './blob-name.js'
import type { BlobEntry, BlobStore, BlobWriter, ByteRange } from './blob-store.js'
import type { BreakerState } from './breaker.js'
import type { Page } from './requests.js'
import type { Resilient } from './resilient.js'
import { UploadWriter } from './upload-writer.js'

/** How many of what was left behind are thrown away at a time. */
const sweepers = 8

/** A store as the sink sees it, made of the requests that it takes. */
export class Blobs implements BlobStore {
  constructor(private readonly requests: Resilient) {}

  get address(): string {
    return this.requests.address
  }

  get state(): BreakerState {
    return this.requests.state
  }

  get state$(): Observable<BreakerState> {
    return this.requests.state$
  }

  create(name: string): BlobWriter {
    checkName(name, `writing ${this.address}/${name}`)
    return new UploadWriter(this.requests, name)
  }

  list(prefix: string): Observable<BlobEntry> {
    return pages((from) => this.requests.list(prefix, from))
  }

  read(name: string, range?: ByteRange): Observable<Uint8Array> {
    return defer(() => {
      checkName(name, `reading ${this.address}/${name}`)
      const range$ = range === undefined ? this.whole(name) : of(range)
      return range$.pipe(concatMap((range) => (range.from < range.to ? this.requests.read(name, range) : EMPTY)))
    })
  }

  remove(name: string): Observable<never> {
    return defer(() => {
      checkName(name, `removing ${this.address}/${name}`)
      return this.requests.remove(name)
    })
  }

  sweep(before: number, isOurs: (name: string) => boolean = () => true): Observable<string> {
    return pages((from) => this.requests.unfinished(from)).pipe(
      filter(({ name, since }) => since < before && isOurs(name)),
      mergeMap(({ name, drop }) => drop().pipe(endWith(name)), sweepers),
    )
  }

  close(): Observable<never> {
    return this.requests.close()
  }

  private whole(name: string): Observable<ByteRange> {
    const doing = `reading ${this.address}/${name}`
    return this.requests.stat(name).pipe(
      throwIfEmpty(() => new BlobFault('WEIR_BLOB_MISSING', `${doing}: there is no such file`)),
      map((to) => ({ from: 0, to })),
    )
  }
}

function pages<T>(page: (from?: string) => Observable<Page<T>>): Observable<T> {
  return page().pipe(
    expand(({ next }) => (next === undefined ? EMPTY : page(next)), 1),
    concatMap(({ items }) => from(items)),
  )
}
