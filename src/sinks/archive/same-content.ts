import { createHash } from 'node:crypto'
import {
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  EMPTY,
  ignoreElements,
  type Observable,
  range,
  tap,
  throwError,
} from 'rxjs'
import { BlobFault } from './blob-fault.js'
import type { BlobRequests } from './requests.js'

/** How much is read at a time: what is read waits for nobody. */
const rangeBytes = 8 * 1_024 * 1_024

interface Content {
  readonly bytes: number
  readonly digest: Buffer
}

/**
 * Completes when what lies under a name is what was to be written there. It is read for that, whatever a store may know of its
 * checksum: that differs from store to store, and with how a file was cut into parts.
 * Errors: WEIR_BLOB_CONFLICT when it is something else, `error` when nothing lies there.
 */
export function sameContent(
  requests: BlobRequests,
  name: string,
  { bytes, digest }: Content,
  error: BlobFault,
): Observable<never> {
  const conflict = (what: string) =>
    new BlobFault(
      'WEIR_BLOB_CONFLICT',
      `writing ${requests.address}/${name}: another file lies there already, ${what}`,
      {
        hint: 'It is left as it is. Find out who wrote it, and move it away.',
        cause: error,
      },
    )
  return requests.stat(name).pipe(
    defaultIfEmpty(undefined),
    concatMap((found) => {
      if (found === undefined) return throwError(() => error)
      if (found !== bytes) return throwError(() => conflict(`of ${found} bytes instead of ${bytes}`))
      return digestOf(requests, name, bytes, (there) => {
        if (!there.equals(digest)) throw conflict(`of as many bytes, ${bytes}`)
      })
    }),
  )
}

/** Reads a whole file, and completes if its digest passes. */
function digestOf(
  requests: BlobRequests,
  name: string,
  bytes: number,
  check: (digest: Buffer) => void,
): Observable<never> {
  const hash = createHash('sha256')
  const read$ = range(0, Math.ceil(bytes / rangeBytes)).pipe(
    concatMap((index) => {
      const from = index * rangeBytes
      return requests.read(name, { from, to: Math.min(from + rangeBytes, bytes) })
    }),
    tap((piece) => void hash.update(piece)),
    ignoreElements(),
  )
  return concat(
    read$,
    defer(() => {
      check(hash.digest())
      return EMPTY
    }),
  )
}
