import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type * as Zstd from '@mongodb-js/zstd'
import type * as Snappy from 'snappy'
import { loadPeer } from '../model/optional-peer.js'

/** Compresses bytes, off this thread where it can be. They are left alone until then. */
export type Compress = (bytes: Buffer) => Promise<Uint8Array>

/** What is in Node 22.15 and newer, and not in the types of 20. */
interface NewerZlib {
  zstdCompress?(
    bytes: Uint8Array,
    options: { params: Record<number, number> },
    done: (error: Error | null, compressed: Buffer) => void,
  ): void
  readonly constants: { readonly ZSTD_c_compressionLevel: number }
}

const zstdLevel = 3

/** The bytes as they are. */
export const uncompressed: Compress = (bytes) => Promise.resolve(bytes)

export const gzip: Compress = promisify<Buffer, Buffer>(zlib.gzip)

/** Without a header or a checksum. */
export const deflate: Compress = promisify<Buffer, Buffer>(zlib.deflateRaw)

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

/** Errors: WEIR_CONFIG_INVALID where the peer is not installed. */
export function snappy(wantedBy: string): Compress {
  const peer = loadPeer<typeof Snappy>('snappy', wantedBy)
  return (bytes) => peer.compress(bytes)
}
