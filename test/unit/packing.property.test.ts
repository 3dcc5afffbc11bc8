import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pack as packMessage, unpack as unpackMessage } from '../../src/engine/repartition/messages.js'
import { Batch, groupKeyOf, noHeaders, type StoredChunk, StreamRecord, storeKeyOf } from '../../src/model/index.js'
import { batch } from '../../src/operators/batch.js'
import { pack, TaskStores, UnkeepableError, unpack } from '../../src/state/index.js'

const runs = { numRuns: 300 }
const here = { topic: 't', partition: 0 }

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', '\uFFFFb', '\uFFFD'),
)
const halfPairs = fc.array(fc.integer({ min: 0xd700, max: 0xe010 })).map((units) => String.fromCharCode(...units))
const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array))
const anything = fc.anything({
  withBigInt: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
  maxDepth: 4,
  values: [
    fc.boolean(),
    fc.integer(),
    fc.double(),
    text,
    halfPairs,
    fc.constantFrom(null, undefined, -0, Number.NaN, 2 ** 53, 2 ** 64),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    bytes,
  ],
  key: fc.oneof(text, halfPairs, fc.constantFrom('__proto__', 'constructor', 'toJSON', '0', 'length')),
})

/** What a store holds after its log was read again. */
function restored(value: unknown, key: string | number | null = 'k'): unknown {
  const codec = { version: 1, save: (kept: unknown) => kept, load: (kept: unknown) => kept }
  const [before, after] = [new TaskStores(), new TaskStores()]
  const store = before.declare('s', codec)
  before.assign({ ...here, generation: 1, sequence: 0 })
  store.of('t', 0).add(0, key, value)
  const { chunks, sequence } = before.commit({ ...here, offset: 1 }, {})
  const again = after.declare('s', codec)
  after.assign({ ...here, generation: 2, sequence })
  for (const chunk of chunks) after.restore(here, { sequence, bytes: Uint8Array.from(chunk) } satisfies StoredChunk)
  return again.of('t', 0).get(0, key)?.value
}

describe('what goes into state or over an internal topic', () => {
  test('comes back the same from the changelog', () => {
    fc.assert(
      fc.property(anything, (value) => {
        deepStrictEqual(restored(value), value)
      }),
      runs,
    )
  })

  test('comes back the same from a message, under the same key', () => {
    const sent = { ...here, kind: 'record', generation: 1, offset: 5, index: 0, timestamp: 1, behindMs: 0 } as const
    const headers = [{ a: Buffer.from([255]) }, { b: 'text' }, { empty: '' }]
    fc.assert(
      fc.property(anything, fc.oneof(text, halfPairs, bytes, fc.constant(null)), (value, key) => {
        const message = { ...sent, key, headers, value, asRead: undefined }
        deepStrictEqual(unpackMessage(packMessage(message)), message)
      }),
      runs,
    )
  })

  test('may be a date that is none', () => {
    expect(restored({ at: new Date(Number.NaN) })).toStrictEqual({ at: new Date(Number.NaN) })
  })

  test('is data of its own: what it was read from may go', () => {
    const packed = pack({ bytes: Buffer.from('abc'), typed: new Float64Array([1.5]) })
    const read = unpack(packed) as { bytes: Buffer; typed: Float64Array }
    packed.fill(0)
    expect(read).toStrictEqual({ bytes: Buffer.from('abc'), typed: new Float64Array([1.5]) })
    expect(read.bytes.buffer.byteLength).toBeLessThan(9)
  })

  const itself: unknown[] = []
  itself.push(itself, itself)
  const batched = new Batch([new StreamRecord(null, 1, 0, noHeaders, { ...here, offset: 0 })])
  test.each<[string, unknown, string]>([
    ['a function', { a: [1, { f: batch }] }, 'a function at .a[1].f'],
    ['a symbol', new Map([[1, Symbol('s')]]), 'a symbol at <value 0>'],
    ['a field named by a symbol', { [Symbol('s')]: 1 }, 'a symbol as the name of a field'],
    ['an instance of a class', { a: batched }, 'an instance of Batch at .a'],
    ['an error', [new RangeError('x')], 'an instance of RangeError at [0]'],
    ['a weak map', { weak: new WeakMap() }, 'an instance of WeakMap at .weak'],
    ['a promise', [Promise.resolve()], 'an instance of Promise at [0]'],
    ['what contains itself', itself, 'it contains itself'],
  ])('is refused where it would be another: %s', (_, value, why) => {
    expect(() => pack(value)).toThrow(UnkeepableError)
    expect(() => restored(value, 'ann')).toThrow(expect.objectContaining({ code: 'WEIR_STAGE_FAILED' }))
    expect(() => restored(value, 'ann')).toThrow(`keeping the state of 's' at key "ann": ${why}`)
  })
})

describe('a key', () => {
  const keys = fc.oneof(text, halfPairs, bytes, fc.integer(), fc.constant(null))
  const wire = (key: unknown) => (typeof key === 'string' && key.isWellFormed() ? Buffer.from(key) : key)

  test('is one group with another when they are the same on the wire, and only then', () => {
    fc.assert(
      fc.property(keys, keys, (one, other) => {
        const [a, b] = [wire(one), wire(other)]
        const isSame = Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : Object.is(a, b)
        expect(storeKeyOf(one) === storeKeyOf(other)).toBe(isSame)
      }),
      { numRuns: 2_000 },
    )
  })

  test('comes out of a store as it went in; as text where it is UTF-8', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const told = groupKeyOf(storeKeyOf(key))
        expect(wire(told)).toStrictEqual(wire(key))
        expect(Buffer.isBuffer(told)).toBe(Buffer.isBuffer(key) && !Buffer.from(key.toString()).equals(key))
      }),
      { numRuns: 2_000 },
    )
  })

  test('is known again in the changelog', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(restored(1, storeKeyOf(key))).toBe(1)
      }),
      runs,
    )
  })

  test.each([[{}], [true], [5n], [new Date(0)], [['a']], [new Uint8Array(2)]])('is none of %s', (key) => {
    expect(() => storeKeyOf(key as never)).toThrow(TypeError)
  })
})
