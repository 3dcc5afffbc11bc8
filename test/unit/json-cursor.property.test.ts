import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonCursor } from '../../src/codecs/cloudevents/json-cursor.js'

function cursorOver(text: string, depth = 100, copies = false): JsonCursor {
  const bytes = Buffer.from(text)
  return new JsonCursor(bytes, bytes.toString(), depth, copies)
}

function isTaken(text: string, depth = 100): boolean {
  const cursor = cursorOver(text, depth)
  try {
    cursor.value()
    cursor.end()
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError)
    return false
  }
}

function isParsed(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** JSON as it may be written, now and then with something in it that it does not have. */
const pieces = fc.constantFrom(
  ...'{}[]:,"\\/ \t\n\r\v\u00a0\u0000\u001f\u007fabtrufnsel0123456789+-.eE\'\ufeff',
  'true',
  'false',
  'null',
  '"a":',
  '"\\u00e9"',
  '"\\uZZZZ"',
  '\\x',
  '-0',
  '01',
  '1.',
  '.5',
  '1e+5',
  '1e',
  '-',
  'NaN',
  '🦦',
  '\ud800',
)
const soup = fc.array(pieces, { maxLength: 12 }).map((all) => all.join(''))
const spoiled = fc.tuple(fc.json(), fc.nat(), pieces, fc.nat({ max: 3 })).map(([json, at, piece, gone]) => {
  const place = at % (json.length + 1)
  return json.slice(0, place) + piece + json.slice(place + gone)
})

describe('a cursor over JSON', () => {
  test('takes what JSON.parse takes, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          soup,
          spoiled,
          fc.json(),
          fc.json().map((json) => JSON.stringify(JSON.parse(json), null, 2)),
        ),
        (text) => {
          // That which `parseJson` passes over too.
          if (text.startsWith('\ufeff')) return
          expect(isTaken(text)).toBe(isParsed(text))
        },
      ),
      { numRuns: 20_000 },
    )
  })

  test('gives texts as JSON.parse has them', () => {
    const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }))
    fc.assert(
      fc.property(texts, fc.boolean(), (text, isEscaped) => {
        const json = isEscaped
          ? `"${Array.from(text, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`)
              .slice(0, text.length)
              .join('')}"`
          : JSON.stringify(text)
        const cursor = cursorOver(json)
        expect(cursor.string()).toBe(JSON.parse(json))
        expect(cursor.isPlain).toBe(/^"[ !#-[\]-~]*"$/.test(json))
        cursor.end()
      }),
    )
  })

  test.each([
    ['{"a":[[1]]}', 3, true],
    ['{"a":[[1]]}', 2, false],
    ['[]', 1, true],
    ['[]', 0, false],
    ['"["', 0, true],
  ])('%s nests no deeper than %i: %s', (text, depth, expected) => {
    expect(isTaken(text, depth)).toBe(expected)
  })

  test.each([
    ['{"a" 1}', `expected ':' at byte 5, got "1"`],
    ['{"a":1', `it ends where '}' is expected`],
    ['[1 2]', `expected ']' at byte 3, got "2"`],
    ['{a:1}', 'expected the name of a member at byte 1, got "a"'],
    ['"\u0001"', 'expected a character of a text at byte 1, got "\\u0001"'],
    ['"\\q"', 'expected an escape of JSON at byte 2, got "q"'],
    ['-x', 'expected a digit at byte 1, got "x"'],
    ['1 🦦', 'expected nothing more at byte 2, got "🦦"'],
    ['', 'it ends where a value is expected'],
    ['"abc', 'it ends where a character of a text is expected'],
  ])('says of %s what is wrong', (text, message) => {
    const cursor = cursorOver(text)
    const read = () => {
      cursor.value()
      cursor.end()
    }
    expect(read).toThrow(new SyntaxError(message))
  })
})
