import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type * as Zstd from '@mongodb-js/zstd'
import type * as Lz4 from 'lz4-napi'
import type * as Snappy from 'snappy'
import { loadPeer } from '../model/optional-peer.js'
import { largestLz4, largestSnappy, largestZstd } from './largest.js'

/**
 * Makes of compressed bytes those that they were, off this thread. Errors where they are none, and `TooLargeError`, before
 * they take memory, where they would be more than `maxBytes`.
 */
export type Decompress = (bytes: Buffer, maxBytes?: number) => Promise<Buffer>

/** The same on this thread, and at once: for few bytes that is less work than to hand them over. */
export type DecompressNow = (bytes: Buffer, maxBytes: number) => Buffer

/** What is compressed would be larger than is allowed. */
export class TooLargeError extends RangeError {
  constructor(maxBytes: number) {
    super(`it would have more than ${maxBytes} bytes when it is decompressed`)
  }
}

/** What is in Node 22.15 and newer, and not in the types of 20. */
interface NewerZlib {
  zstdDecompress?(bytes: Buffer, options: zlib.ZlibOptions, done: (error: Error | null, raw: Buffer) => void): void
}

export const gunzip: Decompress = ofZlib(promisify(zlib.gunzip))

/** Without a header or a checksum. */
export const inflate: Decompress = ofZlib(promisify(zlib.inflateRaw))

export const gunzipNow: DecompressNow = (bytes, maxBytes) => {
  try {
    return zlib.gunzipSync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    throw meant(error, maxBytes)
  }
}

/** Zstandard, of Node where it has it. Errors: WEIR_CONFIG_INVALID where its package is needed, and can't be loaded. */
export function unzstd(wantedBy: string): Decompress {
  const { zstdDecompress } = zlib as unknown as NewerZlib
  if (zstdDecompress !== undefined) return ofZlib(promisify(zstdDecompress))
  const { decompress } = loadPeer<typeof Zstd>('@mongodb-js/zstd', wantedBy)
  return async (bytes, maxBytes) => decompress(checked(bytes, largestZstd, maxBytes))
}

/** Without framing. Errors: as `unzstd`. */
export function unsnappy(wantedBy: string): Decompress {
  const { uncompress } = loadPeer<typeof Snappy>('snappy', wantedBy)
  return async (bytes, maxBytes) => Buffer.from(await uncompress(checked(bytes, largestSnappy, maxBytes)))
}

/** Errors: as `unzstd`. */
export function unsnappyNow(wantedBy: string): DecompressNow {
  const { uncompressSync } = loadPeer<typeof Snappy>('snappy', wantedBy)
  return (bytes, maxBytes) => uncompressSync(checked(bytes, largestSnappy, maxBytes)) as Buffer
}

/** In frames. Errors: as `unzstd`. */
export function unlz4(wantedBy: string): Decompress {
  const { decompressFrame } = loadPeer<typeof Lz4>('lz4-napi', wantedBy)
  return async (bytes, maxBytes) => decompressFrame(checked(bytes, largestLz4, maxBytes))
}

/** Errors: as `unzstd`. */
export function unlz4Now(wantedBy: string): DecompressNow {
  const { decompressFrameSync } = loadPeer<typeof Lz4>('lz4-napi', wantedBy)
  return (bytes, maxBytes) => decompressFrameSync(checked(bytes, largestLz4, maxBytes))
}

function ofZlib(decompress: (bytes: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>): Decompress {
  return async (bytes, maxBytes) => {
    try {
      return await decompress(bytes, maxBytes === undefined ? {} : { maxOutputLength: maxBytes })
    } catch (error) {
      throw meant(error, maxBytes)
    }
  }
}

function meant(error: unknown, maxBytes = 0): unknown {
  return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? new TooLargeError(maxBytes) : error
}

function checked(bytes: Buffer, largest: (bytes: Buffer) => number, maxBytes: number | undefined): Buffer {
  if (maxBytes !== undefined && largest(bytes) > maxBytes) throw new TooLargeError(maxBytes)
  return bytes
}
