import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameFault } from '../../src/sinks/archive/blob-name.js'
import { pathOf, placeOf, segment } from '../../src/sinks/archive/path.js'

const place = {
  topic: 'orders',
  version: 'v1',
  time: Date.UTC(2025, 11, 21, 10, 15, 0, 123),
  partition: 7,
  first: 42,
  records: 1_000,
  extension: 'parquet',
}

test('a name says where in the topic its records were', () => {
  const path = 'orders/v1/dt=2025-12-21/pid=7/20251221T101500123Z_offset42_count1000.parquet'
  expect(pathOf(place)).toBe(path)
  expect(placeOf(path)).toEqual(place)
})

test.each([
  'orders/v1/dt=2025-12-21/pid=7/20251221T101500123Z_offset42_count1000.parquet/x',
  'orders/v1/dt=2025-12-21/pid=7/20251399T101500123Z_offset42_count1000.parquet',
  'orders/v1/dt=2025-12-21/pid=7/.20251221T101500123Z_offset42_count1000.parquet.part',
  'orders/_SUCCESS',
])('%s is no name of a file', (path) => {
  expect(placeOf(path)).toBeUndefined()
})

describe('what a record says is one segment of a path, and leads nowhere else', () => {
  test.each([
    ['v1.2-beta_3', 'v1.2-beta_3'],
    ['../../etc', '%2E.%2F..%2Fetc'],
    ['.', '%2E'],
    ['v1.', 'v1%2E'],
    ['', '%'],
    ['a/b\\c', 'a%2Fb%5Cc'],
    ["(it's~!*)", '%28it%27s%7E%21%2A%29'],
    ['naïve', 'na%C3%AFve'],
  ])('%j is %s', (text, expected) => {
    expect(segment(text)).toBe(expected)
  })

  test('whatever it is, in 255 bytes at most, and texts that differ stay apart', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.string({ unit: 'binary', maxLength: 400 }),
        (one, other) => {
          const [a, b] = [segment(one), segment(other)]
          expect(a).toMatch(/^[A-Za-z0-9_%-][A-Za-z0-9_.%-]{0,254}$/)
          expect(nameFault(`${a}/${b}`)).toBeUndefined()
          if (one !== other) expect(a).not.toBe(b)
        },
      ),
    )
    const long = 'ä'.repeat(300)
    expect(segment(long)).not.toBe(segment(`${long}.`))
    expect(segment(long).length).toBeLessThanOrEqual(255)
  })
})
