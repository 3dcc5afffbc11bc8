import avsc from 'avsc'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteBuffer } from '../../src/codecs/archive/byte-buffer.js'

const least = -(2n ** 63n)
const long = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: least, max: -least - 1n }))

test('integers of 64 bits are the same as numbers and as bigints', () => {
  fc.assert(
    fc.property(long, (value) => {
      const bytes = new ByteBuffer(1)
      bytes.int64(value)
      expect(bytes.written.readBigInt64LE()).toBe(BigInt(value))
    }),
  )
})

test('signed integers are written as Avro has them', () => {
  const { fromBuffer, toBuffer } = {
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: (value: bigint) => Buffer.from(BigInt64Array.of(value).buffer),
  }
  const type = avsc.types.LongType.__with({
    fromBuffer,
    toBuffer,
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: () => 0,
  })
  fc.assert(
    fc.property(long, (value) => {
      const bytes = new ByteBuffer(1)
      bytes.zigzag(value)
      expect(bytes.written.equals(type.toBuffer(BigInt(value)))).toBe(true)
    }),
  )
})

test('text of any length and alphabet is its UTF-8', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 2_000, size: 'max' }), { maxLength: 4 }), (texts) => {
      const bytes = new ByteBuffer(1)
      for (const text of texts) bytes.utf8(text)
      expect(bytes.written.equals(Buffer.from(texts.join('')))).toBe(true)
    }),
  )
})

test('what was handed out is not written over', () => {
  const bytes = new ByteBuffer(16)
  bytes.utf8('before')
  const taken = bytes.take()
  bytes.utf8('behind')
  expect([taken, bytes.written].map(String)).toEqual(['before', 'behind'])
})
