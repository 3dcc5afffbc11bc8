/**
 * How many bytes come of compressed ones at most, as told by their framing and not by what they claim: a library that is
 * given a bomb takes the memory first. What is cut or is nothing of that kind has as many as could be seen; the library tells
 * what is wrong with it.
 */

const [zstdMagic, zstdBlock] = [0xfd_2f_b5_28, 128 << 10]
/** Frames that mean nothing have 16 magic numbers. */
const [passedMagic, passedMask] = [0x18_4d_2a_50, 0xff_ff_ff_f0]

export function largestZstd(bytes: Buffer): number {
  let total = 0
  let at = 0
  while (at + 5 <= bytes.length) {
    const magic = bytes.readUInt32LE(at)
    if ((magic & passedMask) >>> 0 === passedMagic) {
      at += 8 + int32(bytes, at + 4)
      continue
    }
    if (magic !== zstdMagic) break
    const descriptor = bytes[at + 4]!
    at += zstdHead(descriptor)
    for (let isLast = false; !isLast && at + 3 <= bytes.length; ) {
      const head = bytes.readUIntLE(at, 3)
      isLast = (head & 1) === 1
      const [kind, size] = [(head >> 1) & 3, head >>> 3]
      // As it is, one byte many times, or compressed.
      total += kind < 2 ? size : zstdBlock
      at += 3 + (kind === 1 ? 1 : size)
    }
    if ((descriptor & 0x04) !== 0) at += 4
  }
  return total
}

function zstdHead(descriptor: number): number {
  const isSingle = (descriptor & 0x20) !== 0
  const [sizeKind, dictionary] = [descriptor >> 6, descriptor & 3]
  const sizeField = sizeKind === 0 ? Number(isSingle) : 1 << sizeKind
  return 5 + Number(!isSingle) + [0, 1, 2, 4][dictionary]! + sizeField
}

const lz4Magic = 0x18_4d_22_04
/** Of one byte in a block no more can come. */
const lz4Ratio = 255

export function largestLz4(bytes: Buffer): number {
  let total = 0
  let at = 0
  while (at + 7 <= bytes.length && bytes.readUInt32LE(at) === lz4Magic) {
    const [flags, sizes] = [bytes[at + 4]!, bytes[at + 5]!]
    const block = 1 << (8 + 2 * ((sizes >> 4) & 7))
    at += 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4)
    for (let size = int32(bytes, at); size !== 0; size = int32(bytes, at)) {
      const packed = size & 0x7f_ff_ff_ff
      total += size < 0 ? packed : Math.min(block, packed * lz4Ratio)
      at += 4 + packed + ((flags & 0x10) === 0 ? 0 : 4)
    }
    at += 4 + ((flags & 0x04) === 0 ? 0 : 4)
  }
  return total
}

/** It says so itself, and a library that finds more refuses it. */
export function largestSnappy(bytes: Buffer): number {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = bytes[at] ?? 0
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) break
  }
  return size
}

/** 0 beyond the end. */
function int32(bytes: Buffer, at: number): number {
  return at + 4 <= bytes.length ? bytes.readInt32LE(at) : 0
}
