import { lastValueFrom, type Observable, toArray } from 'rxjs'
import type { FileBytes } from '../../codecs/archive/file-reader.js'
import type { BlobEntry, BlobStore } from './blob-store.js'
import type { Spool } from './spool.js'

/** The bytes of a file in a store, for those who read formats. */
export function bytesInStore(store: Pick<BlobStore, 'read'>, { name, bytes: size }: BlobEntry): FileBytes {
  return { size, read: (from, to) => joined(store.read(name, { from, to })) }
}

/** The same of a file that waits to be stored, and is complete. */
export function bytesInSpool(spool: Pick<Spool, 'bytes' | 'readAt'>): FileBytes {
  const read = async (from: number, to: number): Promise<Buffer> => {
    const piece = (await joined(spool.readAt(from))).subarray(0, to - from)
    if (piece.length === 0 || piece.length === to - from) return piece
    return Buffer.concat([piece, await read(from + piece.length, to)])
  }
  return { size: spool.bytes, read }
}

async function joined(pieces$: Observable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await lastValueFrom(pieces$.pipe(toArray())))
}
