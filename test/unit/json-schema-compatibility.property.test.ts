import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Facts } from '../../src/codecs/compatibility/facts.js'
import { compareSchemas, jsonVersion } from '../../src/codecs/compatibility/index.js'
import { hintsOf, Sampler } from '../../src/codecs/compatibility/samples.js'
import { withDefaults } from '../../src/codecs/json-schema/defaults.js'
import { type JsonSchema, SchemaDocument } from '../../src/codecs/json-schema/document.js'
import { describeError } from '../../src/model/index.js'

const sides = { writer: 'v1', reader: 'v2', newer: 'reader' } as const
const name = fc.constantFrom('a', 'b', 'kind', 'x_1')
const scalar = fc.constantFrom(null, true, 0, 1, 1.5, 'a', 'b', '')
const small = fc.integer({ min: 0, max: 3 })

/** Schemas of few names and values, so that two of them often have to do with one another. */
const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => {
  const part = tie('schema')
  const keyword = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: types() }) },
    { weight: 5, arbitrary: fc.record({ properties: fc.dictionary(name, part, { maxKeys: 3 }) }) },
    { weight: 4, arbitrary: fc.record({ required: fc.uniqueArray(name, { maxLength: 2 }) }) },
    { weight: 4, arbitrary: fc.record({ additionalProperties: fc.oneof(fc.boolean(), part) }) },
    fc.record({ patternProperties: fc.dictionary(fc.constantFrom('^x_', '^[ab]$', 'i'), part, { maxKeys: 2 }) }),
    fc.record({ unevaluatedProperties: fc.oneof(fc.boolean(), part) }),
    fc.record({ propertyNames: fc.constantFrom({ maxLength: 1 }, { enum: ['a', 'b'] }, { pattern: '^[a-z]+$' }) }),
    fc.record({ dependentRequired: fc.dictionary(name, fc.uniqueArray(name, { maxLength: 2 }), { maxKeys: 2 }) }),
    fc.record({ dependentSchemas: fc.dictionary(name, part, { maxKeys: 1 }) }),
    fc.record({ minProperties: small }),
    fc.record({ maxProperties: small }),
    fc.record({ enum: fc.uniqueArray(scalar, { minLength: 1, maxLength: 3 }) }),
    fc.record({ const: scalar }),
    fc.record({ minimum: small }),
    fc.record({ exclusiveMinimum: small }),
    fc.record({ maximum: small }),
    fc.record({ exclusiveMaximum: small }),
    fc.record({ multipleOf: fc.constantFrom(1, 2, 0.5) }),
    fc.record({ minLength: small }),
    fc.record({ maxLength: small }),
    fc.record({ pattern: fc.constantFrom('^a', 'b') }),
    fc.record({ format: fc.constantFrom('date', 'uri', 'int32') }),
    fc.record({ items: part }),
    fc.record({ prefixItems: fc.array(part, { minLength: 1, maxLength: 2 }) }),
    fc.record({ unevaluatedItems: fc.oneof(fc.boolean(), part) }),
    fc.record({ minItems: small }),
    fc.record({ maxItems: small }),
    fc.record({ uniqueItems: fc.boolean() }),
    fc.record({ contains: part }),
    fc.record({ anyOf: fc.array(part, { minLength: 1, maxLength: 3 }) }),
    fc.record({ oneOf: fc.array(part, { minLength: 1, maxLength: 3 }) }),
    fc.record({ allOf: fc.array(part, { minLength: 1, maxLength: 2 }) }),
    fc.record({ not: part }),
    fc.record({ if: part, then: part }),
    fc.record({ if: part, else: part }),
    fc.record({ default: scalar }),
    fc.record({ $ref: fc.constantFrom('#/$defs/one', '#/$defs/other') }),
  )
  return {
    schema: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.boolean(),
      fc.record({ type: types() }),
      fc.array(keyword, { minLength: 1, maxLength: 4 }).map((parts) => Object.assign({}, ...parts) as JsonSchema),
    ),
  }
})

function types() {
  const single = fc.constantFrom('null', 'boolean', 'integer', 'number', 'string', 'array', 'object')
  return fc.oneof(single, fc.uniqueArray(single, { minLength: 1, maxLength: 3 }))
}

/** A schema whose definitions refer to no definition where it stands: so that no `$ref` goes in a circle. */
const whole = fc
  .tuple(schema, schema, schema)
  .map(([root, one, other]) =>
    typeof root === 'boolean' ? root : { ...root, $defs: { one: guarded(one), other: guarded(other) } },
  )

function guarded(schema: JsonSchema): JsonSchema {
  return { type: ['object', 'string'], properties: { a: schema } }
}

/** Two schemas of which the second often is the first with a small change. */
const pair = fc.oneof(
  fc.tuple(whole, whole),
  fc.tuple(whole, schema).map(([root, more]) => [root, mixed(root, more)] as const),
  fc.tuple(whole, schema).map(([root, more]) => [mixed(root, more), root] as const),
  fc.tuple(whole, schema).map(([root, more]) => [root, { anyOf: [root, more] }] as const),
)

function mixed(root: JsonSchema, more: JsonSchema): JsonSchema {
  return typeof root === 'boolean' || typeof more === 'boolean' ? root : { ...root, ...more }
}

const compiled = (schema: JsonSchema) => {
  try {
    const document = new SchemaDocument(schema)
    document.accepts(document.root, { a: 1, b: 1, kind: 1, x_1: 1 })
    return document
  } catch {
    return undefined
  }
}

/** ajv can't go by some schemas that ask what was evaluated, at some values. */
function unlessAjvFails<T>(compare: () => T): T | undefined {
  try {
    return compare()
  } catch (error) {
    if (describeError(error).includes('validating by it: Cannot')) return undefined
    throw error
  }
}

test('what the checker calls compatible no value contradicts, and what it calls incompatible one does', () => {
  const numRuns = Number(process.env['WEIR_RUNS'] ?? 250)
  const verdicts = { compatible: 0, incompatible: 0, 'cannot tell': 0 }
  fc.assert(
    fc.property(pair, fc.array(fc.jsonValue(), { maxLength: 5 }), ([one, other], values) => {
      const [writer, reader] = [compiled(one), compiled(other)]
      fc.pre(writer !== undefined && reader !== undefined)
      const found = unlessAjvFails(() => compareSchemas(jsonVersion(one), jsonVersion(other), sides))
      fc.pre(found !== undefined)
      const { verdict, faults } = found
      verdicts[verdict] += 1
      const takes = (value: unknown) => reader.accepts(reader.root, withDefaults(reader.root, value))
      for (const { example, isCertain } of faults) {
        if (!isCertain) continue
        expect(writer.accepts(writer.root, example)).toBe(true)
        expect(takes(example)).toBe(false)
      }
      if (verdict !== 'compatible') return
      const samples = new Sampler(hintsOf(one, other)).of(Facts.of([writer.root]), undefined, 500)
      for (const value of [...samples, ...values].filter((value) => writer.accepts(writer.root, value)))
        expect({ value, isTaken: takes(value) }).toEqual({ value, isTaken: true })
    }),
    { numRuns },
  )
  if (process.env['WEIR_RUNS'] !== undefined) console.log(verdicts)
  // Both are found often (73 and 26 of 100 pairs), and it is rare that nothing can be told (1 of 100).
  const often = numRuns / 10
  expect(verdicts.compatible).toBeGreaterThan(often)
  expect(verdicts.incompatible).toBeGreaterThan(often)
  expect(verdicts['cannot tell']).toBeLessThan((verdicts.compatible + verdicts.incompatible) / 10)
})
