import { defer, EMPTY, map, type Observable, tap } from 'rxjs'
import type { ByteRange } from './blob-store.js'
import type { BreakerState } from './breaker.js'
import type { BlobRequests, Page, Unfinished, Upload } from './requests.js'
import { type ResilienceContext, Trying } from './trying.js'

/** The requests of a store, each tried again for as long as it may do better. */
export class Resilient implements BlobRequests {
  private readonly trying: Trying

  constructor(
    private readonly requests: BlobRequests,
    context: ResilienceContext,
  ) {
    this.trying = new Trying(requests.address, context)
  }

  get address(): string {
    return this.requests.address
  }

  get partBytes(): number {
    return this.requests.partBytes
  }

  get state(): BreakerState {
    return this.trying.state
  }

  /** What `state` is, and each change of it. */
  get state$(): Observable<BreakerState> {
    return this.trying.state$
  }

  put(name: string, bytes: Uint8Array): Observable<never> {
    return this.trying.request(() => this.requests.put(name, bytes))
  }

  begin(name: string): Observable<Upload> {
    return this.trying.request(() => this.requests.begin(name)).pipe(map((upload) => this.around(upload)))
  }

  stat(name: string): Observable<number> {
    return this.trying.request(() => this.requests.stat(name))
  }

  /** Goes on where it was cut. */
  read(name: string, { from, to }: ByteRange): Observable<Uint8Array> {
    return defer(() => {
      let next = from
      const rest = () => (next < to ? this.requests.read(name, { from: next, to }) : EMPTY)
      return this.trying.request(() => rest().pipe(tap((piece) => void (next += piece.length))))
    })
  }

  list(prefix: string, from?: string) {
    return this.trying.request(() => this.requests.list(prefix, from))
  }

  remove(name: string): Observable<never> {
    return this.trying.request(() => this.requests.remove(name))
  }

  /** Looked for on the side, by who may lack the right: not worth a second request, nor to stop the others for. */
  unfinished(from?: string): Observable<Page<Unfinished>> {
    return this.requests.unfinished(from)
  }

  close(): Observable<never> {
    this.trying.close()
    return this.requests.close()
  }

  /** An upload that is given up is not worth a second request: what is left of it is swept some day. */
  private around(upload: Upload): Upload {
    return {
      part: (index, bytes) => this.trying.request(() => upload.part(index, bytes)),
      complete: (index, bytes) => this.trying.request(() => upload.complete(index, bytes)),
      abort: () => upload.abort(),
    }
  }
}
