import { describe, expect, test } from 'vitest'
import { asJson, jsonOf, messageOf, UnencodableError, wellFormed } from '../../src/model/index.js'

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}
const circle: Record<string, unknown> = {}
circle['of'] = circle

describe('JSON that is written', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['0', 0],
    ['""', ''],
    ['[]', []],
    ['{}', {}],
    ['{"a":{}}', { a: {} }],
    ['{}', Object.create(null)],
    ['{"b":null}', { a: undefined, b: Number.NaN }],
    ['{"n":9007199254740993}', { n: 9_007_199_254_740_993n }],
    ['"1970-01-01T00:00:00.000Z"', new Date(0)],
    ['{"x":1,"y":2}', new Point(1, 2)],
    ['{}', { toJSON: () => ({}) }],
    ['"\\ud800"', '\uD800'],
  ])('is %s', (text, value) => {
    expect(jsonOf(value)).toBe(text)
  })

  test.each([
    ['nothing', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['no number', Number.NaN],
    ['an infinite number', Number.POSITIVE_INFINITY],
    ['no date', new Date(Number.NaN)],
    ['what contains itself', circle],
    ['a Map', new Map([[1, 2]])],
    ['a Set inside', { a: [{ b: new Set([1]) }] }],
    ['a promise', Promise.resolve(1)],
    ['an error', new Error('no')],
    ['an expression', { at: /x/ }],
  ])('there is none of %s', (_, value) => {
    expect(() => jsonOf(value)).toThrow(UnencodableError)
  })
})

describe('a value that JSON carries', () => {
  test('is itself, or its form for JSON', () => {
    const value = { a: [1, 'x', null, true, { b: -1.5 }], at: new Date(0), none: undefined }
    expect(asJson(value)).toStrictEqual({ a: [1, 'x', null, true, { b: -1.5 }], at: '1970-01-01T00:00:00.000Z' })
    const odd: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
    expect(JSON.stringify(asJson(odd))).toBe('{"__proto__":{"a":1},"constructor":2}')
  })

  test.each([
    ['a number', { a: [0, Number.NaN] }, 'NaN at .a[1]'],
    ['infinity', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['a bigint', { n: 1n }, 'a bigint at .n'],
    ['a Map', { m: new Map() }, 'a Map at .m'],
    ['a function', { f: () => 1 }, 'a function at .f'],
    ['an instance', [new Point(1, 2)], 'a Point at [0]'],
    ['a hole', new Array(2), 'a undefined at [0]'],
    ['no date', { d: new Date(Number.NaN) }, 'a date of no time at .d'],
    ['bytes', { b: new Uint8Array(1) }, 'a Uint8Array at .b'],
    ['what contains itself', circle, 'nests deeper'],
    ['what will not say', { toJSON: () => Promise.resolve(1) }, 'a Promise'],
  ])('is not %s', (_, value, what) => {
    expect(() => asJson(value)).toThrow(what)
  })
})

test('text with half of a surrogate pair is refused', () => {
  expect(wellFormed('\u{1F9A6}é')).toBe('\u{1F9A6}é')
  expect(() => wellFormed('a\uDC00b')).toThrow(UnencodableError)
})

test('anything thrown has a text', () => {
  expect(messageOf(Object.create(null))).toContain('no text')
  expect(messageOf(Symbol('s'))).toBe('Symbol(s)')
})
