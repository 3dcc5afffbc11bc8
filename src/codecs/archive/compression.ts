import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type * as Zstd from '@mongodb-js/zstd'
import type * as Snappy from 'snappy'
import { loadPeer } from '../../model/optional-peer.js'

/** Compresses bytes, off this thread where it can be. They are left alone until then. */
export type Compress = (bytes: Buffer) => Promise<Uint8Array>

/** Makes of compressed bytes those that they were. Errors where they are none. */
export type Decompress = (bytes: Buffer) => Promise<Uint8Array>

/** What is in Node 22.15 and newer, and not in the types of 20. */
interface NewerZlib {
  zstdCompress?(
    bytes: Uint8Array,
    options: { params: Record<number, number> },
    done: (error: Error | null, compressed: Buffer) => void,
  ): void
  zstdDecompress?(bytes: Uint8Array, done: (error: Error | null, raw: Buffer) => void): void
  readonly constants: { readonly ZSTD_c_compressionLevel: number }
}

const zstdLevel = 3

/** The bytes as they are. */
export const uncompressed: Compress = (bytes) => Promise.resolve(bytes)

export const gzip: Compress = promisify<Buffer, Buffer>(zlib.gzip)
export const gunzip: Decompress = promisify<Buffer, Buffer>(zlib.gunzip)

/** Without a header or a checksum. */
export const deflate: Compress = promisify<Buffer, Buffer>(zlib.deflateRaw)
export const inflate: Decompress = promisify<Buffer, Buffer>(zlib.inflateRaw)

/** Zstandard, of Node where it has it. Errors: WEIR_CONFIG_INVALID where neither Node nor a peer has it. */
export function zstd(wantedBy: string): Compress {
  const { zstdCompress, constants } = zlib as unknown as NewerZlib
  if (zstdCompress === undefined) {
    const peer = loadPeer<typeof Zstd>('@mongodb-js/zstd', wantedBy)
    return (bytes) => peer.compress(bytes, zstdLevel)
  }
  const params = { [constants.ZSTD_c_compressionLevel]: zstdLevel }
  return (bytes) =>
    new Promise((resolve, reject) => {
      zstdCompress(bytes, { params }, (error, compressed) => (error === null ? resolve(compressed) : reject(error)))
    })
}

/** Errors: as `zstd`. */
export function unzstd(wantedBy: string): Decompress {
  const { zstdDecompress } = zlib as unknown as NewerZlib
  if (zstdDecompress === undefined) return loadPeer<typeof Zstd>('@mongodb-js/zstd', wantedBy).decompress
  return promisify<Buffer, Buffer>(zstdDecompress)
}

/** Errors: WEIR_CONFIG_INVALID where the peer is not installed. */
export function snappy(wantedBy: string): Compress {
  const peer = loadPeer<typeof Snappy>('snappy', wantedBy)
  return (bytes) => peer.compress(bytes)
}

/** Errors: as `snappy`. */
export function unsnappy(wantedBy: string): Decompress {
  const peer = loadPeer<typeof Snappy>('snappy', wantedBy)
  return async (bytes) => Buffer.from(await peer.uncompress(bytes))
}
