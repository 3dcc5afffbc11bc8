import { type Schema, Type } from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroVersion, compareSchemas, type Verdict } from '../../src/codecs/compatibility/index.js'

const record = (fields: readonly unknown[], more: object = {}) => ({ type: 'record', name: 'Event', fields, ...more })
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })
const symbols = (names: readonly string[], more: object = {}) => ({
  type: 'enum',
  name: 'Kind',
  symbols: names,
  ...more,
})
const sides = { writer: 'v1', reader: 'v2', newer: 'reader' } as const
const compare = (writer: unknown, reader: unknown) =>
  compareSchemas(avroVersion(writer as object), avroVersion(reader as object), sides)

type Row = readonly [what: string, writer: unknown, reader: unknown, verdict: Verdict, ...faults: string[]]

const tree = (leaf: string) => record([field('leaf', leaf), field('of', { type: 'array', items: 'Event' })])

const rows: readonly Row[] = [
  ['the same', record([field('a', 'int')]), record([field('a', 'int')]), 'compatible'],
  ['a field is added with a default', record([]), record([field('a', 'int', { default: 0 })]), 'compatible'],
  ['a field is added without one', record([]), record([field('a', 'int')]), 'incompatible', ' field'],
  [
    'a field that may be null is added without one',
    record([]),
    record([field('a', ['null', 'int'])]),
    'incompatible',
    ' field',
  ],
  ['a field is dropped', record([field('a', 'int')]), record([]), 'compatible'],
  ['a field is called otherwise', record([field('a', 'int')]), record([field('b', 'int')]), 'incompatible', ' field'],
  ['a field has an alias', record([field('a', 'int')]), record([field('b', 'int', { aliases: ['a'] })]), 'compatible'],
  ['a record has another name', record([]), { ...record([]), name: 'Other' }, 'incompatible', ' name'],
  ['a record has an alias', record([]), { ...record([]), name: 'Other', aliases: ['Event'] }, 'compatible'],
  ['a record moves to a namespace', record([]), record([], { namespace: 'org' }), 'cannot tell', ' namespace'],
  ['a namespace is in the name', record([], { namespace: 'org' }), { ...record([]), name: 'org.Event' }, 'compatible'],
  ...(
    [
      ['int', 'long', true],
      ['int', 'float', true],
      ['int', 'double', true],
      ['long', 'float', true],
      ['long', 'double', true],
      ['float', 'double', true],
      ['string', 'bytes', true],
      ['bytes', 'string', true],
      ['long', 'int', false],
      ['double', 'float', false],
      ['float', 'long', false],
      ['int', 'string', false],
      ['boolean', 'int', false],
    ] as const
  ).map(
    ([from, to, isRead]): Row =>
      isRead ? [`${from} to ${to}`, from, to, 'compatible'] : [`${from} to ${to}`, from, to, 'incompatible', ' type'],
  ),
  ['a type becomes a union', 'int', ['null', 'int'], 'compatible'],
  ['a type becomes a union by promotion', 'int', ['null', 'double'], 'compatible'],
  ['a union becomes a type', ['null', 'int'], 'int', 'incompatible', ' type'],
  ['a union of one becomes its type', ['int'], 'int', 'compatible'],
  ['a branch is added', ['null', 'int'], ['null', 'int', 'string'], 'compatible'],
  ['a branch is dropped', ['null', 'int', 'string'], ['null', 'int'], 'incompatible', ' type'],
  ['a symbol is added', symbols(['A']), symbols(['A', 'B']), 'compatible'],
  ['a symbol is dropped', symbols(['A', 'B']), symbols(['A']), 'incompatible', ' symbols'],
  ['a symbol is dropped, with a default', symbols(['A', 'B']), symbols(['A'], { default: 'A' }), 'compatible'],
  [
    'a fixed is larger',
    { type: 'fixed', name: 'F', size: 4 },
    { type: 'fixed', name: 'F', size: 8 },
    'incompatible',
    ' size',
  ],
  ['items are promoted', { type: 'array', items: 'int' }, { type: 'array', items: 'long' }, 'compatible'],
  ['items are not', { type: 'array', items: 'long' }, { type: 'array', items: 'int' }, 'incompatible', '[] type'],
  [
    'values of a map are not',
    { type: 'map', values: 'string' },
    { type: 'map', values: 'int' },
    'incompatible',
    '* type',
  ],
  ['a tree whose leaves are promoted', tree('int'), tree('long'), 'compatible'],
  ['a tree whose leaves are not', tree('long'), tree('int'), 'incompatible', 'leaf type'],
  [
    'deep in a record',
    record([field('a', ['null', { ...record([field('b', 'long')]), name: 'In' }])]),
    record([field('a', ['null', { ...record([field('b', 'int')]), name: 'In' }])]),
    'incompatible',
    'a.b type',
  ],
  [
    'milliseconds are read as microseconds',
    { type: 'long', logicalType: 'timestamp-millis' },
    { type: 'long', logicalType: 'timestamp-micros' },
    'cannot tell',
    ' logical-type',
  ],
  [
    'a decimal of another scale',
    { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 },
    { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 3 },
    'cannot tell',
    ' logical-type',
  ],
]

test.each(rows)('%s', (_what, writer, reader, verdict, ...faults) => {
  const found = compare(writer, reader)
  expect({ verdict: found.verdict, faults: found.faults.map(({ path, rule }) => `${path} ${rule}`) }).toEqual({
    verdict,
    faults,
  })
})

test.each([
  ['a name that nobody defined', 'Nobody', "the type 'Nobody' is not defined"],
  [
    'a default of another type',
    record([field('a', 'int', { default: 'x' })]),
    "the default of 'a' in 'Event' is not of its type",
  ],
  ['a record without fields', { type: 'record', name: 'E' }, "the record 'E' has no fields"],
  [
    'two of one name',
    record([field('a', symbols(['A'])), field('b', symbols(['B']))]),
    "the type 'Kind' is defined twice",
  ],
])('%s is refused', (_what, schema, text) => {
  expect(() => avroVersion(schema as object)).toThrow(
    expect.objectContaining({ code: 'WEIR_CONFIG_INVALID', message: `reading an Avro schema: ${text}` }),
  )
})

const { type } = fc.letrec<{ type: unknown }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'),
    fc.record({ type: fc.constant('array'), items: tie('type') }),
    fc.record({ type: fc.constant('map'), values: tie('type') }),
    fc.uniqueArray(fc.constantFrom('null', 'int', 'double', 'string'), { minLength: 1, maxLength: 3 }),
    fc
      .tuple(fc.uniqueArray(fc.constantFrom('A', 'B', 'C'), { minLength: 1 }), fc.boolean())
      .map(([names, hasDefault]) => ({
        type: 'enum',
        name: 'Kind',
        symbols: names,
        ...(hasDefault ? { default: names[0] } : {}),
      })),
    fc
      .dictionary(fc.constantFrom('a', 'b', 'c'), fc.tuple(tie('type'), fc.boolean()), { maxKeys: 3 })
      .map((fields) => ({
        type: 'record',
        name: 'Event',
        fields: Object.entries(fields).map(([name, [type, hasDefault]]) =>
          // A union's default is of its first branch to avsc.
          hasDefault ? { name, type: ['null', 'int'], default: null } : { name, type },
        ),
      })),
  ),
}))

describe('beside avsc', () => {
  test('what is compatible it reads, and what is not it refuses, or some value of it', () => {
    const verdicts = { compatible: 0, incompatible: 0 }
    fc.assert(
      fc.property(type, type, (one, other) => {
        const [writer, reader] = [typeOf(one), typeOf(other)]
        fc.pre(writer !== undefined && reader !== undefined)
        const { verdict } = compare(one, other)
        if (verdict === 'cannot tell') return
        verdicts[verdict] += 1
        expect({ verdict, isRead: reads(writer, reader) }).toEqual({ verdict, isRead: verdict === 'compatible' })
      }),
      { numRuns: 3_000 },
    )
    expect(verdicts.compatible).toBeGreaterThan(200)
  })
})

/** Names are defined once in a schema; what the generator made twice is none. */
function typeOf(schema: unknown): Type | undefined {
  try {
    return Type.forSchema(schema as Schema)
  } catch {
    return undefined
  }
}

function reads(writer: Type, reader: Type): boolean {
  try {
    const resolver = reader.createResolver(writer)
    for (let round = 0; round < 30; round++) reader.fromBuffer(writer.toBuffer(writer.random()), resolver)
    return true
  } catch {
    return false
  }
}
