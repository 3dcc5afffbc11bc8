import { expect, test } from 'vitest'
import { UnencodableError } from '../../src/model/index.js'
import { checkedEntries } from '../../src/sinks/view/entries.js'

const entry = { table: 't', key: 'k', value: 1 as unknown }

test('an entry has what every storage of views keeps, and its value is JSON', () => {
  const value = { at: new Date(0), n: [1, null], none: undefined, half: '\uD800', zero: '\0' }
  expect(
    checkedEntries([
      { ...entry, value },
      { ...entry, key: 'a\0' },
    ]),
  ).toEqual([
    { ...entry, value: { at: '1970-01-01T00:00:00.000Z', n: [1, null], half: '\uD800', zero: '\0' } },
    { ...entry, key: 'a\0' },
  ])
})

test.each([
  ['no entry', null],
  ['a key that is a number', { ...entry, key: 7 }],
  ['a key with half of a pair', { ...entry, key: '\uD800' }],
  ['a key beyond what an index takes', { ...entry, key: 'k'.repeat(10_001) }],
  ['a table without a name of text', { ...entry, table: undefined }],
  ['a table with the character 0', { ...entry, table: '\0' }],
  ['a table with a long name', { ...entry, table: 't'.repeat(201) }],
  ['a time to expire that is none', { ...entry, expires: 'soon' }],
  ['a value larger than a message', { ...entry, value: 'Ж'.repeat(200_001) }],
  ['a value that is no number', { ...entry, value: { n: Number.NaN } }],
  ['a value that is a Map', { ...entry, value: new Map() }],
  ['a value that is a bigint', { ...entry, value: 1n }],
  ['a value of a class', { ...entry, value: new (class Thing {})() }],
])('%s is refused when it is put', (_, made) => {
  expect(() => checkedEntries(made)).toThrow(UnencodableError)
})
