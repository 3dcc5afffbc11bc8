import { describe, expect, test } from 'vitest'
import { hasDefaults, withDefaults } from '../../src/codecs/json-schema/defaults.js'
import { type JsonSchema, SchemaDocument } from '../../src/codecs/json-schema/document.js'

const filling = { properties: { a: { default: 1 } }, required: ['a'] }

describe('whether a schema ever fills something in', () => {
  test.each<[what: string, schema: JsonSchema, lacking: unknown]>([
    ['a required property with a default', filling, {}],
    ['one that another schema requires', { allOf: [{ required: ['a'] }, { properties: { a: { default: 1 } } }] }, {}],
    ['one behind a reference', { $ref: '#/$defs/it', $defs: { it: filling } }, {}],
    ['one further in', { properties: { b: { properties: { c: filling } } } }, { b: { c: {} } }],
    ['one of items', { items: filling }, [{}]],
    ['one of an item by its place', { prefixItems: [true, filling] }, [0, {}]],
    ['one of the items behind those', { prefixItems: [true], items: filling }, [0, {}]],
    ['one where a schema refers to itself', { properties: { next: { $ref: '#' }, it: filling } }, { next: { it: {} } }],
    [
      'one where two hold of the same property',
      {
        allOf: [
          { properties: { b: { required: ['a'] } } },
          { properties: { b: { properties: { a: { default: 1 } } } } },
        ],
      },
      { b: {} },
    ],
  ])('%s', (_, schema, lacking) => {
    const { root } = new SchemaDocument(schema)
    expect(hasDefaults(root)).toBe(true)
    expect(withDefaults(root, lacking)).not.toBe(lacking)
  })

  test.each<[what: string, schema: JsonSchema]>([
    ['no default', { properties: { a: { type: 'string' } }, required: ['a'] }],
    ['a default that nothing requires', { properties: { a: { default: 1 } } }],
    ['one in an alternative', { anyOf: [filling] }],
    ['a schema that refers to itself', { properties: { next: { $ref: '#' } }, required: ['next'] }],
    ['true', true],
  ])('not: %s', (_, schema) => {
    expect(hasDefaults(new SchemaDocument(schema).root)).toBe(false)
  })
})
