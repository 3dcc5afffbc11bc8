import { expect, test } from 'vitest'
import { literalOf } from '../../src/mysql/literal.js'

const endOfDay = new Date('2024-12-31T23:59:59.999Z')
const escape = (text: string) => `'${text}'`

test.each([
  ['other', 0, "'2024-12-31 23:59:59'"],
  ['other', 1, "'2024-12-31 23:59:59.9'"],
  ['other', 3, "'2024-12-31 23:59:59.999'"],
  ['other', 6, "'2024-12-31 23:59:59.999'"],
  ['other', undefined, "'2024-12-31 23:59:59.999'"],
  ['time', 0, "'23:59:59'"],
  ['time', 2, "'23:59:59.99'"],
  ['date', undefined, "'2024-12-31'"],
] as const)(
  'a date in a column of kind %s with %s digits is cut, and not rounded into the next day',
  (kind, digits, text) => {
    expect(literalOf(endOfDay, { name: 'at', kind, digits }, escape)).toBe(text)
  },
)
