import { describe, expect, test } from 'vitest'
import { checkChange, compareSchemas, jsonVersion, type Verdict } from '../../src/codecs/compatibility/index.js'
import type { JsonSchema } from '../../src/codecs/json-schema/document.js'

const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  ({ type: 'object', properties, ...more }) as JsonSchema
const plain = (properties: Record<string, unknown>) => ({ type: 'object', properties })
const closed = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  object(properties, { additionalProperties: false, ...more })
const string = { type: 'string' }
const integer = { type: 'integer' }
const number = { type: 'number' }

const sides = { writer: 'v1', reader: 'v2', newer: 'reader' } as const
const compare = (writer: JsonSchema, reader: JsonSchema) =>
  compareSchemas(jsonVersion(writer), jsonVersion(reader), sides)

type Row = readonly [what: string, writer: JsonSchema, reader: JsonSchema, verdict: Verdict, ...faults: string[]]

/** Of each fault: `path rule`. */
const rows: Record<string, readonly Row[]> = {
  'objects, open and closed': [
    ['the same', object({ a: string }), object({ a: string }), 'compatible'],
    [
      'an optional property is added to an open object',
      object({}),
      object({ a: string }),
      'incompatible',
      ' open-property',
    ],
    ['one that may be anything is', object({}), object({ a: true }), 'compatible'],
    ['one is added to a closed object', closed({}), closed({ a: string }), 'compatible'],
    ['an optional property is removed from an open object', object({ a: string }), object({}), 'compatible'],
    ['one is removed from a closed object', closed({ a: string }), closed({}), 'incompatible', ' closed-property'],
    ['one that was never there is', closed({ a: false }), closed({}), 'compatible'],
    ['an object is closed', object({ a: string }), closed({ a: string }), 'incompatible', ' other-properties'],
    ['an object is opened', closed({ a: string }), object({ a: string }), 'compatible'],
    [
      'one is added that the rest of a partly open object covers',
      object({}, { additionalProperties: string }),
      object({ a: string }, { additionalProperties: string }),
      'compatible',
    ],
    [
      'one is added that the rest does not cover',
      object({}, { additionalProperties: string }),
      object({ a: integer }, { additionalProperties: string }),
      'incompatible',
      'a type',
    ],
    [
      'one is removed that the rest covers',
      object({ a: integer }, { additionalProperties: number }),
      object({}, { additionalProperties: number }),
      'compatible',
    ],
    [
      'the rest takes less',
      object({}, { additionalProperties: number }),
      object({}, { additionalProperties: integer }),
      'incompatible',
      '* type',
    ],
    [
      'nested: added to an open one',
      object({ o: object({}) }),
      object({ o: object({ a: string }) }),
      'incompatible',
      'o open-property',
    ],
  ],
  'required properties': [
    ['one is required', object({ a: string }), object({ a: string }, { required: ['a'] }), 'incompatible', ' required'],
    ['one is required no longer', object({ a: string }, { required: ['a'] }), object({ a: string }), 'compatible'],
    [
      'one is required and has a default',
      closed({}),
      closed({ a: { type: 'string', default: '' } }, { required: ['a'] }),
      'compatible',
    ],
    [
      'its default is none of its values',
      closed({}),
      closed({ a: { type: 'string', default: 1 } }, { required: ['a'] }),
      'incompatible',
      ' required',
    ],
    [
      'the default is one more than there may be',
      closed({ b: string }, { maxProperties: 1 }),
      closed({ a: { default: 1 }, b: string }, { required: ['a'], maxProperties: 1 }),
      'incompatible',
      ' required',
    ],
    [
      'a default within anyOf fills nothing in',
      closed({}),
      { anyOf: [closed({ a: { default: 1 } }, { required: ['a'] })] },
      'incompatible',
      ' required',
    ],
    [
      'required by dependentRequired',
      object({ a: true, b: true }, { required: ['a'], dependentRequired: { a: ['b'] } }),
      object({ a: true, b: true }, { required: ['a', 'b'] }),
      'compatible',
    ],
    [
      'dependentRequired is added',
      closed({ a: true, b: true }),
      closed({ a: true, b: true }, { dependentRequired: { a: ['b'] } }),
      'incompatible',
      ' required',
    ],
    [
      'dependentRequired of what is never there',
      closed({ b: true }),
      closed({ b: true }, { dependentRequired: { a: ['b'] } }),
      'compatible',
    ],
  ],
  types: [
    ['integer to number', integer, number, 'compatible'],
    ['number to integer', number, integer, 'incompatible', ' type'],
    ['a type is added', string, { type: ['string', 'null'] }, 'compatible'],
    ['a type is dropped', { type: ['string', 'null'] }, string, 'incompatible', ' type'],
    ['another type', string, integer, 'incompatible', ' type'],
    ['a type where there was none', true, string, 'incompatible', ' type'],
    ['no type where there was one', string, true, 'compatible'],
    ['nothing is taken any more', string, false, 'incompatible', ' nothing'],
    ['nothing was written', false, string, 'compatible'],
  ],
  'enum and const': [
    ['a value is added', { enum: ['a'] }, { enum: ['a', 'b'] }, 'compatible'],
    ['a value is dropped', { enum: ['a', 'b'] }, { enum: ['a'] }, 'incompatible', ' values'],
    ['a list where there was none', string, { enum: ['a'] }, 'incompatible', ' enum'],
    ['no list where there was one', { enum: ['a', 'b'] }, string, 'compatible'],
    ['a list of all booleans', { type: 'boolean' }, { enum: [true, false] }, 'compatible'],
    ['const to enum', { const: 'a' }, { enum: ['a', 'b'] }, 'compatible'],
    ['enum to const', { enum: ['a', 'b'] }, { const: 'a' }, 'incompatible', ' values'],
    ['of numbers to a range', { enum: [1, 5] }, { type: 'integer', minimum: 1, maximum: 5 }, 'compatible'],
    ['a small range to a list', { type: 'integer', minimum: 1, maximum: 3 }, { enum: [1, 2, 3] }, 'compatible'],
    ['null beside a list', { type: ['string', 'null'], enum: ['a', null] }, { enum: ['a', null, 1] }, 'compatible'],
  ],
  bounds: [
    ['minimum is raised', { ...number, minimum: 0 }, { ...number, minimum: 1 }, 'incompatible', ' bound'],
    ['minimum is lowered', { ...number, minimum: 1 }, { ...number, minimum: 0 }, 'compatible'],
    ['exclusive to inclusive', { ...number, exclusiveMinimum: 0 }, { ...number, minimum: 0 }, 'compatible'],
    ['inclusive to exclusive', { ...number, minimum: 0 }, { ...number, exclusiveMinimum: 0 }, 'incompatible', ' bound'],
    ['of integers: > 0 is >= 1', { ...integer, exclusiveMinimum: 0 }, { ...integer, minimum: 1 }, 'compatible'],
    ['of numbers it is not', { ...number, exclusiveMinimum: 0 }, { ...number, minimum: 1 }, 'incompatible', ' bound'],
    ['multipleOf of a multiple', { ...integer, multipleOf: 10 }, { ...integer, multipleOf: 5 }, 'compatible'],
    ['multipleOf of another', { ...integer, multipleOf: 5 }, { ...integer, multipleOf: 10 }, 'incompatible', ' bound'],
    ['maxLength is lowered', { ...string, maxLength: 9 }, { ...string, maxLength: 8 }, 'incompatible', ' bound'],
    ['maxLength is raised', { ...string, maxLength: 8 }, { ...string, maxLength: 9 }, 'compatible'],
    ['minLength is added', string, { ...string, minLength: 1 }, 'incompatible', ' bound'],
    ['pattern is added', string, { ...string, pattern: '^a' }, 'incompatible', ' keyword'],
    ['pattern is dropped', { ...string, pattern: '^a' }, string, 'compatible'],
    ['pattern is another', { ...string, pattern: '^a' }, { ...string, pattern: '^b' }, 'incompatible', ' keyword'],
    ['format is added', string, { ...string, format: 'date' }, 'incompatible', ' keyword'],
    ['format is wider', { ...string, format: 'uri' }, { ...string, format: 'uri-reference' }, 'compatible'],
    ['a format that nobody knows', string, { ...string, format: 'iban' }, 'compatible'],
  ],
  arrays: [
    ['items are wider', { type: 'array', items: integer }, { type: 'array', items: number }, 'compatible'],
    [
      'items are narrower',
      { type: 'array', items: number },
      { type: 'array', items: integer },
      'incompatible',
      '[] type',
    ],
    ['maxItems is added', { type: 'array' }, { type: 'array', maxItems: 2 }, 'incompatible', ' bound'],
    ['uniqueItems is added', { type: 'array' }, { type: 'array', uniqueItems: true }, 'incompatible', ' keyword'],
    [
      'a tuple is opened',
      { type: 'array', prefixItems: [string], items: false },
      { type: 'array', prefixItems: [string] },
      'compatible',
    ],
    [
      'a tuple is closed',
      { type: 'array', prefixItems: [string] },
      { type: 'array', prefixItems: [string], items: false },
      'incompatible',
      '[] nothing',
    ],
    [
      'an item is added to a closed tuple',
      { type: 'array', prefixItems: [string], items: false },
      { type: 'array', prefixItems: [string, integer], items: false },
      'compatible',
    ],
    [
      'an item is added to an open one',
      { type: 'array', prefixItems: [string] },
      { type: 'array', prefixItems: [string, integer] },
      'incompatible',
      '[1] type',
    ],
    ['contains is added', { type: 'array' }, { type: 'array', contains: integer }, 'incompatible', ' keyword'],
    [
      'contains what each item is',
      { type: 'array', items: integer, minItems: 1 },
      { type: 'array', contains: number },
      'compatible',
    ],
  ],
  'patterns of properties': [
    [
      'a name that a pattern covers',
      object({}, { patternProperties: { '^x_': string }, additionalProperties: false }),
      object({ x_a: string }, { patternProperties: { '^x_': string }, additionalProperties: false }),
      'compatible',
    ],
    ['a pattern for what was closed', closed({}), closed({}, { patternProperties: { '^x_': string } }), 'compatible'],
    [
      'a pattern for what was open',
      object({}),
      object({}, { patternProperties: { '^x_': string } }),
      'incompatible',
      ' open-property',
    ],
    [
      'a pattern goes',
      closed({}, { patternProperties: { '^x_': string } }),
      closed({}),
      'incompatible',
      ' closed-property',
    ],
    [
      'propertyNames are narrowed',
      object({}),
      object({}, { propertyNames: { pattern: '^[a-z]+$' } }),
      'incompatible',
      ' keyword',
    ],
  ],
  combinations: [
    ['an alternative is added', { anyOf: [string] }, { anyOf: [string, integer] }, 'compatible'],
    ['an alternative is dropped', { anyOf: [string, integer] }, { anyOf: [string] }, 'incompatible', ' type'],
    ['a type becomes an alternative', string, { oneOf: [string, { type: 'null' }] }, 'compatible'],
    ['types become alternatives', { type: ['string', 'null'] }, { oneOf: [string, { type: 'null' }] }, 'compatible'],
    ['oneOf of which two hold', integer, { oneOf: [integer, number] }, 'incompatible', ' alternatives'],
    ['allOf asks for more', string, { allOf: [string, { minLength: 1 }] }, 'incompatible', ' bound'],
    ['allOf asks for less', { allOf: [string, { minLength: 1 }] }, string, 'compatible'],
    [
      'kinds are told apart by a const',
      {
        oneOf: [
          object({ kind: { const: 'a' }, x: integer }, { required: ['kind', 'x'] }),
          object({ kind: { const: 'b' } }, { required: ['kind'] }),
        ],
      },
      {
        oneOf: [
          object({ kind: { const: 'a' }, x: number }, { required: ['kind'] }),
          object({ kind: { const: 'b' } }, { required: ['kind'] }),
          object({ kind: { const: 'c' } }, { required: ['kind'] }),
        ],
      },
      'compatible',
    ],
    [
      'a list of kinds becomes alternatives',
      object({ kind: { enum: ['a', 'b'] } }, { required: ['kind'] }),
      { oneOf: ['a', 'b'].map((kind) => object({ kind: { const: kind } }, { required: ['kind'] })) },
      'compatible',
    ],
    ['not what it never was', string, { not: integer }, 'compatible'],
    ['not what it may be', { type: ['string', 'integer'] }, { not: integer }, 'incompatible', ' keyword'],
    ['not of less', { not: { type: ['string', 'integer'] } }, { not: string }, 'compatible'],
    [
      'the same condition',
      { if: { required: ['a'] }, then: { required: ['b'] } },
      { if: { required: ['a'] }, then: { required: ['b'] } },
      'compatible',
    ],
    [
      'a condition that never holds',
      closed({ b: string }),
      closed({ b: string }, { if: { required: ['a'] }, then: { required: ['c'] } }),
      'compatible',
    ],
    [
      'two patterns of which one takes all of the other: not seen, and no example against it',
      { ...string, pattern: '^[ab]+$' },
      { ...string, pattern: '^[a-z]+$' },
      'cannot tell',
      ' keyword',
    ],
  ],
  $ref: [
    [
      'definitions go elsewhere',
      { $defs: { name: string }, ...plain({ a: { $ref: '#/$defs/name' } }) },
      object({ a: string }),
      'compatible',
    ],
    [
      'a tree whose leaves are wider',
      {
        $defs: { tree: object({ leaf: integer, of: { type: 'array', items: { $ref: '#/$defs/tree' } } }) },
        $ref: '#/$defs/tree',
      },
      {
        $defs: { node: object({ leaf: number, of: { type: 'array', items: { $ref: '#/$defs/node' } } }) },
        $ref: '#/$defs/node',
      },
      'compatible',
    ],
    [
      'a tree whose leaves are narrower',
      {
        $defs: { tree: object({ leaf: number, of: { type: 'array', items: { $ref: '#/$defs/tree' } } }) },
        $ref: '#/$defs/tree',
      },
      {
        $defs: { node: object({ leaf: integer, of: { type: 'array', items: { $ref: '#/$defs/node' } } }) },
        $ref: '#/$defs/node',
      },
      'incompatible',
      'leaf type',
    ],
    [
      'an anchor',
      { $defs: { name: { $anchor: 'name', ...string } }, ...plain({ a: { $ref: '#name' } }) },
      object({ a: string }),
      'compatible',
    ],
    [
      'a base that is extended and closed as a whole',
      {
        allOf: [object({ id: string }, { required: ['id'] })],
        properties: { a: string },
        unevaluatedProperties: false,
      },
      {
        allOf: [object({ id: string }, { required: ['id'] })],
        properties: { a: string, b: string },
        unevaluatedProperties: false,
      },
      'compatible',
    ],
    [
      'a property goes from what is closed as a whole',
      { allOf: [object({ id: string })], properties: { a: string }, unevaluatedProperties: false },
      { allOf: [object({ id: string })], unevaluatedProperties: false },
      'incompatible',
      ' closed-property',
    ],
  ],
}

describe.each(Object.entries(rows))('%s', (_, rows) => {
  for (const [what, writer, reader, verdict, ...faults] of rows)
    test(what, () => {
      const found = compare(writer, reader)
      expect({ verdict: found.verdict, faults: found.faults.map(({ path, rule }) => `${path} ${rule}`) }).toEqual({
        verdict,
        faults,
      })
    })
})

test('draft-07 has items in a row, dependencies and definitions', () => {
  const $schema = 'http://json-schema.org/draft-07/schema#'
  const v1 = { $schema, items: [string], additionalItems: false, type: 'array' }
  expect(compare(v1, { ...v1, items: [string, integer] }).verdict).toBe('compatible')
  expect(compare({ ...v1, items: [string, integer] }, v1).faults.map(({ path }) => path)).toEqual(['[1]'])
  const d1 = { $schema, ...plain({ a: true, b: true }), additionalProperties: false }
  expect(compare(d1, { ...d1, dependencies: { a: ['b'] } }).verdict).toBe('incompatible')
  expect(compare(v1, { type: 'array', prefixItems: [string], items: false }).verdict).toBe('compatible')
})

test('another dialect is refused with what to write', () => {
  expect(() => jsonVersion({ $schema: 'http://json-schema.org/draft-04/schema#' })).toThrow(
    expect.objectContaining({ code: 'WEIR_CONFIG_INVALID', hint: expect.stringContaining('draft-07') }),
  )
})

test('a fault says what is wrong, how to change it, and shows a value', () => {
  const v1 = closed({ userId: integer })
  const [fault] = compare(v1, closed({ userId: integer, plan: string }, { required: ['plan'] })).faults
  expect(fault).toEqual({
    path: '',
    rule: 'required',
    what: "v2 requires 'plan', which v1 may leave out",
    mend: "Leave 'plan' optional, or give it a default.",
    isCertain: true,
    example: {},
  })
})

describe('levels', () => {
  const version = (name: string, schema: JsonSchema) => ({ name, schema: jsonVersion(schema) })
  const v1 = version('v1', closed({ a: string }))
  const v2 = version('v2', closed({ a: string, b: string }))
  const v3 = version('v3', closed({ b: string, c: string }))
  const v4 = version('v4', closed({ b: string, c: string, d: string }))

  test.each([
    ['NONE', [v1, v2], v3, []],
    ['BACKWARD', [v1], v2, []],
    ['FORWARD', [v1], v2, ['v2→v1']],
    ['FULL', [v1], v2, ['v2→v1']],
    ['BACKWARD', [v1, v2, v3], v4, []],
    ['BACKWARD_TRANSITIVE', [v1, v2, v3], v4, ['v1→v4', 'v2→v4']],
    ['FORWARD_TRANSITIVE', [v1, v2], v2, ['v2→v1']],
    ['FULL_TRANSITIVE', [v1], v3, ['v1→v3', 'v3→v1', 'v3→v1']],
  ] as const)('%s', (level, before, next, expected) => {
    const { faults } = checkChange(before, next, level)
    expect(faults.map(({ writer, reader }) => `${writer}→${reader}`)).toEqual(expected)
  })

  test('what to do depends on which of the two is new', () => {
    const { faults } = checkChange([v1], v2, 'FORWARD')
    expect(faults[0]).toMatchObject({
      what: "v2 may have 'b', which v1 does not allow",
      mend: expect.stringMatching(/^Leave 'b' out/),
    })
  })
})
