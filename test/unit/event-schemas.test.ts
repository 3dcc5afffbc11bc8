import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { documentOf, versionSchemaOf } from '../../src/codecs/event-schemas/event-schema.js'
import { eventSchemas } from '../../src/codecs/event-schemas/event-schemas.js'
import { readSchemaFolder } from '../../src/codecs/event-schemas/folder.js'
import type { ConnectionContext } from '../../src/model/index.js'
import { writeFiles } from '../support/write-files.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-schemas-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (files: Readonly<Record<string, unknown>>) => writeFiles(folder, files)

const $schema = 'https://json-schema.org/draft/2020-12/schema'
const base = {
  $schema,
  type: 'object',
  properties: { eventType: { type: 'string' }, userId: { type: 'integer' } },
  required: ['eventType', 'userId'],
}
const extended = (more: object) => ({
  $schema,
  allOf: [{ $ref: '../base/v1.json' }],
  properties: more,
  unevaluatedProperties: false,
})

const open = () => {
  const { definition } = eventSchemas
  return definition.open(definition.options.parse({ from: folder }), {} as ConnectionContext)
}

describe('a folder of schemas', () => {
  test('has a base event, and types that extend it, of which each version is compiled', () => {
    write({
      'base/v1.json': base,
      'signup/v1.json': extended({ plan: { type: 'string' } }),
      'signup/v2.json': extended({ plan: { enum: ['free', 'paid'] } }),
      'signup/notes.md': 'no schema',
    })
    const schemas = open()
    const [first, second] = schemas.known('signup') ?? []
    const event = { eventType: 'signup', userId: 1, plan: 'gold' }
    expect(first?.judge(event)).toEqual({ value: event })
    expect(second?.judge(event)).toEqual({ faults: ['plan: must be one of ["free","paid"]'] })
    expect(second?.judge({ userId: 'x', more: 1 })).toEqual({
      faults: ['eventType: is missing', 'userId: must be integer', 'more: is not allowed'],
    })
    expect(schemas.known('nothing')).toEqual([])
  })

  test('in which versions are in the order of their numbers', () => {
    write({ 'a/v10.json': {}, 'a/v9.json': {}, 'a/v1.json': {} })
    expect(
      readSchemaFolder(folder)
        .get('a')
        ?.map(({ version }) => version),
    ).toEqual([1, 9, 10])
  })

  test('whose schemas refer to one another by $id, too', () => {
    write({
      'base/v1.json': { ...base, $id: 'https://example.org/base/v1' },
      'signup/v1.json': { $schema, $id: 'https://example.org/signup/v1', allOf: [{ $ref: '/base/v1' }] },
    })
    const [schema] = readSchemaFolder(folder).get('signup') ?? []
    const document = documentOf(schema as NonNullable<typeof schema>)
    expect(document.accepts(document.root, { eventType: 'signup', userId: 'x' })).toBe(false)
    expect(document.accepts(document.root, { eventType: 'signup', userId: 1 })).toBe(true)
  })

  test('of draft-07', () => {
    const draft = 'http://json-schema.org/draft-07/schema#'
    write({
      'base/v1.json': { ...base, $schema: draft },
      'a/v1.json': { $schema: draft, allOf: [{ $ref: '../base/v1.json#/properties/userId' }], definitions: {} },
    })
    const [version] = open().known('a') ?? []
    expect(version?.judge(1)).toEqual({ value: 1 })
    expect(version?.judge('x')).toEqual({ faults: ['the event must be integer'] })
  })

  test('of Avro, whose types refer to those of others', () => {
    write({
      'user/v1.avsc': { type: 'record', name: 'User', namespace: 'org', fields: [{ name: 'id', type: 'long' }] },
      'signup/v1.avsc': { type: 'record', name: 'Signup', fields: [{ name: 'user', type: 'org.User' }] },
    })
    const [schema] = readSchemaFolder(folder).get('signup') ?? []
    expect(versionSchemaOf(schema as NonNullable<typeof schema>)).toMatchObject({
      type: 'AVRO',
      avro: { fields: [{ name: 'user', type: { kind: 'record', name: 'org.User' } }] },
    })
  })

  test.each([
    ['that is not there', {}, 'nowhere', /^reading the schemas of .*nowhere: ENOENT/],
    ['with a file that is no JSON', { 'a/v1.json': '{' }, '', /^reading the schema a\/v1: /],
    [
      'with a $ref that leads nowhere',
      { 'a/v1.json': { $ref: '../b/v1.json' } },
      '',
      /^reading the schemas of a\/v1: '\.\.\/b\/v1\.json' leads to no schema of the folder/,
    ],
    ['with two files of one version', { 'a/v1.json': {}, 'a/v1.avsc': '"int"' }, '', /two files are of one version/],
  ])('%s is refused', (_what, files, name, text) => {
    write(files)
    expect(() => readSchemaFolder(join(folder, name))).toThrow(
      expect.objectContaining({ code: 'WEIR_CONFIG_INVALID', message: expect.stringMatching(text) }),
    )
  })

  test.each([
    ['that is none', { type: 'sting' }, /^compiling the schema .*a\/v1\.json: /],
    ['with a $ref within that leads nowhere', { anyOf: [true, { $ref: '#/$defs/x' }] }, /'#\/\$defs\/x' leads nowhere/],
  ])('a schema %s is refused when it is asked for', (_what, schema, text) => {
    write({ 'a/v1.json': schema })
    expect(() => open().known('a')).toThrow(
      expect.objectContaining({ code: 'WEIR_CONFIG_INVALID', message: expect.stringMatching(text) }),
    )
  })
})

describe('what a schema makes of events', () => {
  test('defaults of what is required, also below, and of nothing else', () => {
    write({
      'a/v1.json': {
        properties: {
          kind: { default: 'x' },
          optional: { default: 1 },
          inner: { required: ['n'], properties: { n: { default: 2 } } },
          list: { items: { $ref: '#/$defs/item' } },
        },
        required: ['kind'],
        $defs: { item: { required: ['m'], properties: { m: { default: [] } } } },
      },
    })
    const [version] = open().known('a') ?? []
    const event = Object.freeze({ inner: Object.freeze({}), list: Object.freeze([Object.freeze({}), { m: 1 }]) })
    expect(version?.judge(event)).toEqual({ value: { kind: 'x', inner: { n: 2 }, list: [{ m: [] }, { m: 1 }] } })
  })

  test('a price of 19.99 is a multiple of 0.01', () => {
    write({ 'a/v1.json': { multipleOf: 0.01 } })
    expect(open().known('a')?.[0]?.judge(19.99)).toEqual({ value: 19.99 })
  })

  test('properties by a pattern beside alternatives, where ajv fails when it keeps track of them', () => {
    write({ 'a/v1.json': { patternProperties: { '^x_': true }, oneOf: [true, { properties: { a: false } }] } })
    expect(open().known('a')?.[0]?.judge({ x_1: 1, a: 1 })).toEqual({ value: { x_1: 1, a: 1 } })
  })
})
