import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroReader, avroType, avroWriter } from '../../src/codecs/avro/values.js'

const schemas = {
  'a long': 'long',
  'a time': { type: 'long', logicalType: 'timestamp-micros' },
  'a long or nothing': ['null', 'long'],
}
const others = { 'as it is': undefined, 'as a long': avroType('long'), 'as a double': avroType('double') }
const write = avroWriter(avroType('long'), 1)

describe.each(Object.entries(schemas))('%s', (_, schema) => {
  test('that a number holds comes back, and below -2^52 with its sign', () => {
    const [write, read] = [avroWriter(avroType(schema), 1), avroReader(JSON.stringify(schema), undefined)]
    for (const value of [
      -4_503_599_628_000_000,
      -(2 ** 52),
      -(2 ** 52) - 1,
      -Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
    ])
      expect(read(write(value))).toBe(value)
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(read(write(value))).toBe(value)
      }),
    )
  })
})

test.each(Object.entries(others))('a long is read %s', (_, reader) => {
  const read = avroReader('"long"', reader)
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(read(write(value))).toBe(value)
    }),
  )
})

test('a long that no number holds is malformed', () => {
  const read = avroReader('"long"', undefined)
  const encoded = (value: bigint) => {
    const bytes = [0, 0, 0, 0, 1]
    let rest = value < 0n ? -2n * value - 1n : 2n * value
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    return Buffer.from([...bytes, Number(rest)])
  }
  expect(read(encoded(-(2n ** 53n) + 1n))).toBe(-Number.MAX_SAFE_INTEGER)
  for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)])
    expect(() => read(encoded(value))).toThrow(expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }) as Error)
  expect(() => read(encoded(-4n).subarray(0, 5))).toThrow(
    expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }) as Error,
  )
})

test.each([1.5, 2 ** 53, -(2 ** 53), Number.NaN, '1', 1n])('%s is no long', (value) => {
  expect(() => write(value)).toThrow(expect.objectContaining({ code: 'WEIR_RECORD_INVALID' }) as Error)
})

test.each(Object.entries(others))('a long of a megabyte is malformed at once, %s', (_, reader) => {
  const read = avroReader('"long"', reader)
  const endless = Buffer.concat([Buffer.alloc(5), Buffer.alloc(1_000_000, 0xff), Buffer.from([1])])
  expect(() => read(endless)).toThrow(expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }) as Error)
})
