import avsc from 'avsc'
import { describe, expect, test } from 'vitest'
import { avroReader, avroType } from '../../src/codecs/avro/values.js'

const record = (type: unknown) => ({ type: 'record', name: 'Shock', fields: [{ name: 'tags', type }] })
const other = { type: 'record', name: 'Shock', fields: [{ name: 'more', type: 'int', default: 7 }] }
const header = Buffer.alloc(5)
const longs = (...numbers: number[]) =>
  Buffer.concat(numbers.map((number) => avsc.Type.forSchema('long').toBuffer(number)))

const collections = {
  'a list of numbers': { type: 'array', items: 'int' },
  'a list of nothing': { type: 'array', items: 'null' },
  'a list of lists of nothing': { type: 'array', items: { type: 'array', items: 'null' } },
  'a map': { type: 'map', values: 'string' },
  'a map of nothing': { type: 'map', values: 'null' },
}

describe.each(Object.entries(collections))('%s', (_, type) => {
  const writer = record(type)
  const readers = { 'as it is': undefined, 'by another schema': avroType(writer), 'passed over': avroType(other) }

  test.each(Object.entries(readers))('that announces more items than there can be is malformed, %s', (_, reader) => {
    const read = avroReader(JSON.stringify(writer), reader)
    for (const sizes of [[1e8], [2 ** 40], [-1e8, 1], [-1, -1], [-1, -7], [2 ** 52]]) {
      expect(() => read(Buffer.concat([header, longs(...sizes)]))).toThrow(
        expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }) as Error,
      )
    }
  })
})

test('lists and maps come out as they went in, in blocks with and without their sizes', () => {
  const schema = {
    type: 'record',
    name: 'All',
    fields: [
      { name: 'list', type: ['null', collections['a list of lists of nothing']] },
      { name: 'map', type: collections['a map'] },
    ],
  }
  const value = { list: [[null, null], [], [null]], map: { a: 'x', __proto: 'y', ['__proto__']: 'z' } }
  const bytes = avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value)
  const read = avroReader(JSON.stringify(schema), undefined)
  expect(JSON.stringify(read(Buffer.concat([header, bytes])))).toBe(JSON.stringify(value))
  const sized = Buffer.concat([longs(-2, 2, 4, 6), longs(1, 8), longs(0)])
  const numbers = avroReader(JSON.stringify(record(collections['a list of numbers'])), undefined)
  expect(JSON.stringify(numbers(Buffer.concat([header, sized])))).toBe('{"tags":[4,6,8]}')
})
