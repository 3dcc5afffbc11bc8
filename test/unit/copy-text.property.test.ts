import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UnencodableError } from '../../src/model/index.js'
import { CopyText } from '../../src/postgres/copy-text.js'

const column = { name: 'c', type: 'text', isArray: false, isJson: false, isTimeOfDay: false } as never

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 300 }).filter((made) => made.isWellFormed()),
  fc.string({ unit: fc.constantFrom('\\', '\n', '\t', '\r', 'N', 'é', 'a'), maxLength: 200 }),
  fc.constant('x'.repeat(100_000)),
)

/** As PostgreSQL reads the format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format". */
function read(bytes: Buffer): (string | null)[][] {
  const fields = (line: string) => line.split('\t').map((field) => (field === '\\N' ? null : unescaped(field)))
  return bytes.toString().split('\n').slice(0, -1).map(fields)
}

const meanings: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' }
const unescaped = (field: string) => field.replace(/\\(.)/gs, (_, after: string) => meanings[after] ?? after)

test('what is read of the rows of a COPY is what was put into them', () => {
  const rows = fc
    .integer({ min: 1, max: 4 })
    .chain((width) => fc.array(fc.array(fc.option(text), { minLength: width, maxLength: width }), { maxLength: 20 }))
  fc.assert(
    fc.property(rows, (given) => {
      const copy = new CopyText()
      for (const row of given) row.forEach((field, index) => copy.field(field, column, index === row.length - 1))
      expect(read(copy.sent)).toEqual(given)
    }),
    { numRuns: 200 },
  )
})

test.each(['\uD800', `${'x'.repeat(500)}\uDC00`])('half of a surrogate pair is refused, with its column', (half) => {
  const copy = new CopyText()
  copy.field('before', column, true)
  expect(() => copy.field(half, column, true)).toThrow(UnencodableError)
  expect(() => copy.field(half, column, true)).toThrow(expect.objectContaining({ column: 'c' }))
  expect(copy.sent.toString()).toBe('before\n')
})
