import {
  type Decompress,
  type DecompressNow,
  gunzip,
  gunzipNow,
  TooLargeError,
  unlz4,
  unlz4Now,
  unsnappy,
  unsnappyNow,
  unzstd,
} from '../../compression/index.js'
import { messageOf } from '../../model/index.js'
import { MalformedError } from './protocol/malformed.js'

/** So few bytes are decompressed sooner than they are handed to another thread and back. */
const fewBytes = 8 << 10

const reader = 'a Kafka topic that is compressed'

/** How it is done for many bytes and, where that can be, for few. */
interface Way {
  readonly aside: Decompress
  readonly now?: DecompressNow
}

/** By Kafka's number, made when the first such batch comes. */
const ways: Readonly<Record<number, () => Way>> = {
  1: () => ({ aside: gunzip, now: gunzipNow }),
  2: () => ({ aside: unframed(unsnappy(reader)), now: unframedNow(unsnappyNow(reader)) }),
  3: () => ({ aside: unlz4(reader), now: unlz4Now(reader) }),
  4: () => ({ aside: unzstd(reader) }),
}

const made = new Map<number, Way>()

/**
 * What the records of a batch were before they were compressed. Errors: `MalformedError` where they were not compressed so,
 * where there would be more than `maxBytes`, and where it is not known how.
 */
export function decompress(compression: number, packed: Buffer, maxBytes: number): Buffer | Promise<Buffer> {
  const { aside, now } = wayOf(compression)
  const isFew = packed.length <= fewBytes
  try {
    if (isFew && now !== undefined) return now(packed, maxBytes)
  } catch (error) {
    throw malformed(error)
  }
  return aside(packed, maxBytes).catch((error: unknown) => {
    throw malformed(error)
  })
}

function wayOf(compression: number): Way {
  const known = made.get(compression)
  if (known !== undefined) return known
  const make = ways[compression]
  if (make === undefined) throw new MalformedError('compression', `compression ${compression} is not known`)
  try {
    const way = make()
    made.set(compression, way)
    return way
  } catch (cause) {
    throw new MalformedError('compression', messageOf(cause), { cause })
  }
}

function malformed(cause: unknown): MalformedError {
  if (cause instanceof MalformedError) return cause
  return new MalformedError(cause instanceof TooLargeError ? 'too-large' : 'corrupt', messageOf(cause), { cause })
}

/** What Java's library puts before the blocks of snappy: a magic word, then two versions of four bytes. */
const framing = Buffer.from('\x82SNAPPY\0', 'latin1')
const framingSize = 16

function unframed(decompress: Decompress): Decompress {
  return async (bytes, maxBytes) => {
    const blocks = blocksOf(bytes)
    if (blocks === undefined) return decompress(bytes, maxBytes)
    const raw: Buffer[] = []
    let left = maxBytes ?? Number.POSITIVE_INFINITY
    for (const block of blocks) {
      raw.push(await decompress(block, left))
      left -= raw.at(-1)!.length
    }
    return Buffer.concat(raw)
  }
}

function unframedNow(decompress: DecompressNow): DecompressNow {
  return (bytes, maxBytes) => {
    const blocks = blocksOf(bytes)
    if (blocks === undefined) return decompress(bytes, maxBytes)
    let left = maxBytes
    const raw = blocks.map((block) => {
      const part = decompress(block, left)
      left -= part.length
      return part
    })
    return raw.length === 1 ? raw[0]! : Buffer.concat(raw)
  }
}

/** Undefined where they are not framed: librdkafka and others write one block as it is. */
function blocksOf(bytes: Buffer): readonly Buffer[] | undefined {
  if (bytes.length < framingSize || !bytes.subarray(0, framing.length).equals(framing)) return undefined
  const blocks: Buffer[] = []
  for (let at = framingSize; at < bytes.length; ) {
    const start = at + 4
    const end = start > bytes.length ? -1 : start + bytes.readInt32BE(at)
    if (end < start || end > bytes.length) throw new MalformedError('corrupt', 'a block of snappy beyond its batch')
    blocks.push(bytes.subarray(start, end))
    at = end
  }
  return blocks
}
