import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { compress as compressZstd } from '@mongodb-js/zstd'
import { compressFrameSync } from 'lz4-napi'
import { compressSync as compressSnappy } from 'snappy'
import { describe, expect, test } from 'vitest'
import { largestLz4, largestSnappy, largestZstd } from '../../src/compression/largest.js'
import { MalformedError } from '../../src/kafka/fetch/protocol/malformed.js'
import { decodeRecords } from '../../src/kafka/fetch/record-batch.js'
import { encodeBatch, type LoggedBatch, recordsShown, signed } from '../support/record-batches.js'

const options = { maxBytes: 4 << 20 }

/** Batches of four records at offset 30, as the classes of Kafka 4.1.1's own Java client write them. */
const golden = {
  gzip: [
    '000000000000001e00000081000000040285ffd61a0001000000060000018bcfe568000000028bcfe56800ffffffffffff',
    'ffffffffffffffff000000041f8b08000000000000ff3363606060cb4eade42a4bcc294d6563ca6032e4c8cbcf4b6564ca',
    '609062f83f7f7bfb4b562646963223063186061070e0626064e06360e261ca66600000c22943273e000000',
  ],
  snappy: [
    '000000000000001e000000860000000402395c51e50002000000060000018bcfe568000000028bcfe56800ffffffffffff',
    'ffffffffffffffff0000000482534e41505059000000000100000001000000413ef03d36000000066b65790a76616c7565',
    '0602680231086e6f6e65010268001a00ff9fb787e90502010476320016008080808080400a0001000e00020c026b0000',
  ],
  lz4: [
    '000000000000001e0000007e0000000402eb4398bf0003000000060000018bcfe568000000028bcfe56800ffffffffffff',
    'ffffffffffffffff0000000404224d186040823e00008036000000066b65790a76616c75650602680231086e6f6e650102',
    '68001a00ff9fb787e90502010476320016008080808080400a0001000e00020c026b000000000000',
  ],
  zstd: [
    '000000000000001e0000007b0000000402539ccde60004000000060000018bcfe568000000028bcfe56800ffffffffffff',
    'ffffffffffffffff0000000428b52ffd0058f0010036000000066b65790a76616c75650602680231086e6f6e6501026800',
    '1a00ff9fb787e90502010476320016008080808080400a0001000e00020c026b0000010000',
  ],
}

type Compress = (raw: Buffer) => Buffer | Promise<Buffer>

const snappy: Compress = (raw) => compressSnappy(raw)

/** As Java's library does it, in blocks of 32 KiB. */
const framedSnappy: Compress = (raw) => {
  const framed: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let at = 0; at < raw.length; at += 32 << 10) {
    const block = compressSnappy(raw.subarray(at, at + (32 << 10)))
    const size = Buffer.alloc(4)
    size.writeInt32BE(block.length)
    framed.push(size, block)
  }
  return Buffer.concat(framed)
}

const ways: [string, number, Compress][] = [
  ['gzip', 1, (raw) => gzipSync(raw)],
  ['snappy', 2, snappy],
  ["snappy in Java's frames", 2, framedSnappy],
  ['lz4', 3, (raw) => compressFrameSync(raw)],
  ['zstd', 4, (raw) => compressZstd(raw)],
]

const batchOf = (base: number, values: readonly Buffer[]): LoggedBatch => ({
  base,
  last: base + values.length - 1,
  records: values.map((value, index) => ({ offset: base + index, timestamp: 1_000, key: null, value, headers: [] })),
})

/** A batch whose records were compressed by something that takes its time. */
async function compressed(batch: LoggedBatch, number: number, compress: Compress): Promise<Buffer> {
  let raw: Buffer = Buffer.alloc(0)
  encodeBatch({ ...batch, compression: [number, (bytes) => (raw = bytes)] })
  const payload = await compress(raw)
  return encodeBatch({ ...batch, compression: [number, () => payload] })
}

async function valuesOf(bytes: Buffer, from: number): Promise<(Buffer | null)[]> {
  const { records } = await decodeRecords(bytes, from, [], options)
  return records.flatMap((of) => Array.from({ length: of.count }, (_, index) => of.value(index)))
}

/** Half of it can be compressed. */
const someBytes = (size: number) => Buffer.concat([randomBytes(size / 2), Buffer.alloc(size / 2, 'compressible ')])

test.each(Object.keys(golden) as (keyof typeof golden)[])(
  'what the Java client compresses with %s is read',
  async (name) => {
    const values = await valuesOf(Buffer.from(golden[name].join(''), 'hex'), 30)
    expect(values.map((value) => value?.toString())).toEqual(['value', 'v2', undefined, ''])
  },
)

describe.each(ways)('%s', (_name, number, compress) => {
  test.each([
    ['little', 10, 100],
    ['much', 40, 20_000],
  ])('gives back %s', async (_much, count, size) => {
    const values = Array.from({ length: count }, () => someBytes(size))
    const given = await valuesOf(await compressed(batchOf(7, values), number, compress), 7)
    expect(given.map((value, index) => value?.equals(values[index]!))).toEqual(values.map(() => true))
  })

  test.each([1 << 20, 16 << 20])(
    'that would become larger than is allowed is refused: a bomb of %i bytes',
    async (size) => {
      const batch = await compressed(batchOf(0, [Buffer.alloc(size)]), number, compress)
      const decoding = async () => decodeRecords(batch, 0, [], { maxBytes: size >> 1 })
      await expect(decoding()).rejects.toMatchObject({ code: 'too-large' })
    },
  )

  test('of which bytes are wrong is told, or read as something else', async () => {
    for (const size of [200, 20_000]) {
      const batch = await compressed(batchOf(0, [someBytes(size)]), number, compress)
      for (let wrong = 0; wrong < 60; wrong++) {
        const bytes = Buffer.from(batch)
        for (const at of randomBytes(1 + (wrong % 3))) bytes[61 + ((at * 251 + wrong) % (bytes.length - 61))] = at
        const decoded = await Promise.resolve()
          .then(() => decodeRecords(signed(bytes), 0, [], options))
          .catch((error: unknown) => error)
        if (decoded instanceof Error) expect(decoded).toBeInstanceOf(MalformedError)
      }
    }
  })
})

test('a bomb of a few bytes in zstd takes no memory', async () => {
  const block = Buffer.from([(1 << 1) | 0, 0, 0x10, 0x78])
  const head = Buffer.from('28b52ffd0058', 'hex')
  const bomb = Buffer.concat([head, ...Array.from({ length: 200_000 }, () => block), Buffer.from([1, 0, 0])])
  const batch = encodeBatch({ ...batchOf(0, [Buffer.alloc(1)]), compression: [4, () => bomb] })
  await expect(async () => decodeRecords(batch, 0, [], options)).rejects.toMatchObject({ code: 'too-large' })
})

test.each([5, 6, 7])('compression %i, that nobody knows, is refused', (number) => {
  const batch = encodeBatch({ ...batchOf(0, [Buffer.alloc(1)]), compression: [number, (raw) => raw] })
  expect(() => decodeRecords(batch, 0, [], options)).toThrow(expect.objectContaining({ code: 'compression' }))
})

describe('a response with compressed batches', () => {
  const values = Array.from({ length: 30 }, () => someBytes(1_000))
  const broken = (base: number) =>
    encodeBatch({ ...batchOf(base, values), compression: [3, () => randomBytes(20_000)] })

  test('keeps their order, whichever is ready first', async () => {
    const batches: Buffer[] = []
    for (let base = 0; base < 180; base += 30) {
      const [, number, compress] = ways[(base / 30) % ways.length]!
      const size = base % 60 === 0 ? 30_000 : 100
      const own = Array.from({ length: 30 }, (_, index) => Buffer.alloc(size, `${base + index} `))
      batches.push(await compressed(batchOf(base, own), number, compress))
      if (base === 60) batches.push(encodeBatch(batchOf((base += 30), values)))
    }
    const decoded = await decodeRecords(Buffer.concat(batches), 0, [], options)
    expect(recordsShown(decoded).map(({ offset }) => offset)).toEqual(
      Array.from({ length: decoded.next }, (_, index) => index),
    )
  })

  test('gives what lies before one that can not be decompressed, and tells of that at its turn', async () => {
    const whole = await compressed({ ...batchOf(0, values), leaderEpoch: 3 }, 3, (raw) => compressFrameSync(raw))
    const bytes = Buffer.concat([whole, broken(30), broken(60), encodeBatch(batchOf(90, values))])
    const decoded = await decodeRecords(bytes, 0, [], options)
    expect(recordsShown(decoded).map(({ offset }) => offset)).toEqual(values.map((_, index) => index))
    expect(decoded).toMatchObject({ next: 30, leaderEpoch: 3 })
    await expect(async () => decodeRecords(bytes.subarray(whole.length), 30, [], options)).rejects.toMatchObject({
      code: 'corrupt',
    })
  })

  test('does not decompress what was aborted', () => {
    const bytes = encodeBatch({
      ...batchOf(0, values),
      producer: 1,
      isTransactional: true,
      compression: [3, () => randomBytes(9)],
    })
    expect(decodeRecords(bytes, 0, [{ producer: 1n, first: 0 }], options)).toMatchObject({ records: [], next: 30 })
  })
})

test('what may come of compressed bytes is never less than what comes', async () => {
  for (const size of [0, 1, 100, 65_536, 131_072, 131_073, 700_000]) {
    for (const raw of [randomBytes(size), Buffer.alloc(size), Buffer.alloc(size, 'some text, again and again. ')]) {
      expect(largestLz4(compressFrameSync(raw))).toBeGreaterThanOrEqual(size)
      expect(largestZstd(await compressZstd(raw))).toBeGreaterThanOrEqual(size)
      expect(largestSnappy(compressSnappy(raw))).toBe(size)
    }
  }
})
