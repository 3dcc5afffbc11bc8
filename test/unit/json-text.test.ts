import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeJson } from '../../src/codecs/json.js'
import { bytesOf, parseJson } from '../../src/model/index.js'

const beyond = '9007199254740993'

describe('JSON as it is read', () => {
  test('notices integers that a number would alter, and leaves all others', () => {
    const numbers = fc.oneof(fc.bigInt().map(String), fc.double({ noNaN: true, noDefaultInfinity: true }).map(String))
    fc.assert(
      fc.property(numbers, (digits) => {
        const isAltered = /^-?\d+$/.test(digits) && digits !== '-0' && String(Number(digits)) !== digits
        const isExact = isAltered && Number.isFinite(Number(digits)) && BigInt(Number(digits)) === BigInt(digits)
        if (isAltered && !isExact) expect(() => parseJson(`{"n":${digits}}`)).toThrow(SyntaxError)
        else expect(parseJson(`{"n":${digits}}`)).toEqual({ n: Number(digits) })
      }),
    )
  })

  test('makes bigint or text of them where it is asked to, and of nothing else', () => {
    const text = `{"a":[${beyond},-${beyond},1.5,1e30,12],"${beyond}":"${beyond} \\" ${beyond}","\uFFFF1":"\uFFFF12"}`
    const rest = { [beyond]: `${beyond} " ${beyond}`, '\uFFFF1': '\uFFFF12' }
    const [n, digits] = [BigInt(beyond), beyond]
    expect(parseJson(text, { bigIntegers: 'bigint' })).toEqual({ a: [n, -n, 1.5, 1e30, 12], ...rest })
    expect(parseJson(text, { bigIntegers: 'text' })).toEqual({ a: [digits, `-${digits}`, 1.5, 1e30, 12], ...rest })
    expect(() => parseJson(text)).toThrow(`${beyond} is beyond what a number can hold`)
  })

  test('has no number that would be infinite', () => {
    for (const token of ['1e400', '-1e400', '1.5E+999'])
      for (const bigIntegers of ['reject', 'text'] as const)
        expect(() => parseJson(`{"n":[1,${token}],"t":"1e400"}`, { bigIntegers })).toThrow(`${token} is beyond what`)
    expect(parseJson('{"t":"1e400","n":1e308}')).toEqual({ t: '1e400', n: 1e308 })
  })

  test('is written again with the same integers', () => {
    const text = `{"a":[${beyond},1],"b":"\uFFFF${beyond}","c":"${beyond}"}`
    expect(String(bytesOf(parseJson(text, { bigIntegers: 'bigint' })))).toBe(text)
    const cyclic: Record<string, unknown> = { n: 1n }
    cyclic['self'] = cyclic
    expect(() => bytesOf(cyclic)).toThrow(/circular/)
  })

  test('may begin with a byte order mark', () => {
    expect(decodeJson(Buffer.from('\uFEFF{"a":1}'))).toEqual({ a: 1 })
    expect(() => decodeJson(Buffer.from('\uFEFF\uFEFF{"a":1}'))).toThrow(/decoding JSON/)
  })

  test('nests 100 deep, or as deep as one says', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => decodeJson(nested(101))).toThrow('it nests deeper than 100')
    expect(decodeJson(nested(100))).toBeInstanceOf(Array)
    expect(decodeJson(nested(150), { depth: 150 })).toBeInstanceOf(Array)
    expect(() => decodeJson(nested(5_000))).toThrow(expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }))
    const flat = Array.from({ length: 500 }, () => ({ text: '[[[[' }))
    expect(decodeJson(JSON.stringify(flat))).toEqual(flat)
  })
})
