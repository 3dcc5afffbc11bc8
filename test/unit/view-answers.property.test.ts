import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Answers } from '../../src/sinks/view/answers.js'

const shown = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: -3, max: 9 }) },
  fc.constantFrom(undefined, 'text', null),
)

test('the first keys are those that sorting all of them would bring', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 3 }), shown, { maxKeys: 60 }), fc.nat(70), (values, top) => {
      const entries = Object.entries(values)
      const tables = new Map([['counts', new Map(entries)]])
      const answer = new Answers(undefined).of({ tag: 'a', tables }, '', {}, top)
      const number = (value: unknown) => (typeof value === 'number' ? value : 0)
      const expected = entries
        .filter(([, value]) => value !== undefined)
        .sort(([aKey, a], [bKey, b]) => number(b) - number(a) || (aKey < bKey ? -1 : 1))
        .slice(0, top)
        .map(([key, value]) => [key, JSON.stringify(value)])
      expect([...(answer.tables.get('counts') ?? [])]).toEqual(expected)
    }),
  )
})
