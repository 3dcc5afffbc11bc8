import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exactNumbers, jsonOf, keepExact, parseJson } from '../../src/model/index.js'

/** What is written of a body that nobody has changed. */
function through(text: string, change: (value: never) => unknown = (value) => value): string {
  const value = change(parseJson(text, { bigIntegers: 'bigint' }) as never)
  keepExact(value, exactNumbers(text))
  return jsonOf(value)
}

describe('a body goes through', () => {
  test.each([
    '{"a":0.1000000000000000055511151231257827}',
    '[1e400,-1e400,1e-400,-0,-0.0]',
    '{"a":{"b":[{"c":3.14159265358979323846}]},"n":9007199254740993,"text":"0.10000000000000000555"}',
    '{"\\u0061":[true,null,"\\uD800",12345678901234567890.5]}',
    '{"__proto__":{"a":0.30000000000000000001},"constructor":1}',
  ])('with its numbers: %s', (text) => {
    expect(through(text)).toBe(text.replace('\\u0061', 'a').replace('\\uD800', '\\ud800'))
  })

  test('with the others as they are usually written', () => {
    expect(through('{"a":1.50,"b":1e2}')).toBe('{"a":1.5,"b":100}')
    expect(exactNumbers('{"a":1.50,"b":1e2,"c":"2024-01-05","d":[0.1,-12.5e-3]}')).toBeUndefined()
  })

  test('where a schema has left fields out and put others in order', () => {
    const text = '{"b":0.20000000000000000001,"a":0.10000000000000000001,"c":1}'
    const change = ({ a, b }: { a: number; b: number }) => ({ a, b, d: 0.1 })
    expect(through(text, change)).toBe('{"a":0.10000000000000000001,"b":0.20000000000000000001,"d":0.1}')
  })

  test('and what was changed after that is written as it is', () => {
    const text = '{"a":0.10000000000000000001}'
    const value = parseJson(text) as { a: number }
    keepExact(value, exactNumbers(text))
    value.a = 2
    expect(jsonOf(value)).toBe('{"a":2}')
  })
})

test('a number by itself has no place to be kept at', () => {
  expect(keepExact(0.1, exactNumbers('0.10000000000000000001'))).toBe(false)
  expect(keepExact(0.1, exactNumbers('0.1'))).toBe(true)
})

test('JSON that doubles hold comes out as without it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value)
      const exact = exactNumbers(text)
      const parsed: unknown = JSON.parse(text)
      keepExact(parsed, exact)
      if (typeof parsed === 'object' || typeof parsed === 'string') expect(jsonOf(parsed)).toBe(text)
    }),
    { numRuns: 500 },
  )
})
