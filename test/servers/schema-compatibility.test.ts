import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { firstValueFrom } from 'rxjs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { avroVersion, compareSchemas, jsonVersion } from '../../src/codecs/compatibility/index.js'
import { eventSchemas } from '../../src/codecs/event-schemas/event-schemas.js'
import type { JsonSchema } from '../../src/codecs/json-schema/document.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { because } from '../support/job-servers.js'
import { weirIn } from '../support/weir.js'
import { writeFiles } from '../support/write-files.js'
import { requireApicurio, SchemaRegistryServer } from './schema-registry.js'

const missing = requireApicurio()
const draft = 'http://json-schema.org/draft-07/schema#'
const string = { type: 'string' }
const integer = { type: 'integer' }
const number = { type: 'number' }
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const closed = (properties: object, more: object = {}) => object(properties, { additionalProperties: false, ...more })
const record = (...fields: object[]) => ({ type: 'record', name: 'Event', fields })
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more })
const kinds = (...symbols: string[]) => ({ type: 'enum', name: 'Kind', symbols })

/** What may follow the first of two schemas by both, or by neither. */
const json: readonly (readonly [what: string, writer: object, reader: object])[] = [
  ['an optional property is added to an open object', object({}), object({ a: string })],
  ['one is added to a closed object', closed({}), closed({ a: string })],
  ['one is removed from an open object', object({ a: string }), object({})],
  ['one is removed from a closed object', closed({ a: string }), closed({})],
  ['an object is closed', object({ a: string }), closed({ a: string })],
  ['an object is opened', closed({ a: string }), object({ a: string })],
  ['a property is required', object({ a: string }), object({ a: string }, { required: ['a'] })],
  ['one is required no longer', object({ a: string }, { required: ['a'] }), object({ a: string })],
  ['integer to number', closed({ a: integer }), closed({ a: number })],
  ['number to integer', closed({ a: number }), closed({ a: integer })],
  ['string to integer', closed({ a: string }), closed({ a: integer })],
  ['a value is added to an enum', closed({ a: { enum: ['x'] } }), closed({ a: { enum: ['x', 'y'] } })],
  ['a value is dropped from one', closed({ a: { enum: ['x', 'y'] } }), closed({ a: { enum: ['x'] } })],
  ['maxLength is raised', closed({ a: { ...string, maxLength: 2 } }), closed({ a: { ...string, maxLength: 3 } })],
  ['maxLength is lowered', closed({ a: { ...string, maxLength: 3 } }), closed({ a: { ...string, maxLength: 2 } })],
  ['minLength is added', closed({ a: string }), closed({ a: { ...string, minLength: 1 } })],
  ['minimum is lowered', closed({ a: { ...number, minimum: 1 } }), closed({ a: { ...number, minimum: 0 } })],
  ['minimum is raised', closed({ a: { ...number, minimum: 0 } }), closed({ a: { ...number, minimum: 1 } })],
  ['a pattern is added', closed({ a: string }), closed({ a: { ...string, pattern: '^x' } })],
  ['a pattern is dropped', closed({ a: { ...string, pattern: '^x' } }), closed({ a: string })],
  [
    'items are wider',
    closed({ a: { type: 'array', items: integer } }),
    closed({ a: { type: 'array', items: number } }),
  ],
  [
    'items are narrower',
    closed({ a: { type: 'array', items: number } }),
    closed({ a: { type: 'array', items: integer } }),
  ],
  [
    'maxItems is added',
    closed({ a: { type: 'array', items: string } }),
    closed({ a: { type: 'array', items: string, maxItems: 1 } }),
  ],
  ['an alternative is added', closed({ a: { oneOf: [string] } }), closed({ a: { oneOf: [string, integer] } })],
  ['an alternative is dropped', closed({ a: { oneOf: [string, integer] } }), closed({ a: { oneOf: [string] } })],
  ['nested: required', closed({ o: closed({ a: string }) }), closed({ o: closed({ a: string }, { required: ['a'] }) })],
]

/**
 * Where they differ: Weir knows that every value holds. Apicurio compares keyword by keyword, and says no. The other way
 * round nothing is known.
 */
const differing: readonly (readonly [why: string, writer: object, reader: object])[] = [
  [
    'a default stands in for what is required',
    closed({}),
    closed({ a: { ...string, default: '' } }, { required: ['a'] }),
  ],
  ['what is added to an open object may be anything', object({}), object({ a: true })],
  ['what is no longer there never was', closed({ a: false }), closed({})],
  ['the values of an enum are strings', closed({ a: { enum: ['x', 'y'] } }), closed({ a: string })],
  ['an enum has all booleans', closed({ a: { type: 'boolean' } }), closed({ a: { enum: [true, false] } })],
  [
    'an integer above 0 is at least 1',
    closed({ a: { ...integer, exclusiveMinimum: 0 } }),
    closed({ a: { ...integer, minimum: 1 } }),
  ],
  ['a type becomes one of several', closed({ a: string }), closed({ a: { oneOf: [string, { type: 'null' }] } })],
  [
    'what is required is there to be counted',
    closed({ a: string }, { required: ['a'] }),
    closed({ a: string }, { required: ['a'], minProperties: 1 }),
  ],
  ['allOf of one is that one', closed({ a: string }), { allOf: [closed({ a: string })] }],
]

const avro: readonly (readonly [what: string, writer: unknown, reader: unknown])[] = [
  ['a field is added with a default', record(), record(field('a', 'int', { default: 0 }))],
  ['a field is added without one', record(), record(field('a', 'int'))],
  ['a field is dropped', record(field('a', 'int')), record()],
  ['a field is called otherwise', record(field('a', 'int')), record(field('b', 'int'))],
  ['a field has an alias', record(field('a', 'int')), record(field('b', 'int', { aliases: ['a'] }))],
  ['int to long', record(field('a', 'int')), record(field('a', 'long'))],
  ['long to int', record(field('a', 'long')), record(field('a', 'int'))],
  ['string to bytes', record(field('a', 'string')), record(field('a', 'bytes'))],
  ['a type becomes a union', record(field('a', 'int')), record(field('a', ['null', 'int']))],
  ['a union becomes a type', record(field('a', ['null', 'int'])), record(field('a', 'int'))],
  ['a symbol is added', record(field('a', kinds('A'))), record(field('a', kinds('A', 'B')))],
  ['a symbol is dropped', record(field('a', kinds('A', 'B'))), record(field('a', kinds('A')))],
  [
    'a symbol is dropped, with a default',
    record(field('a', kinds('A', 'B'))),
    record(field('a', { ...kinds('A'), default: 'A' })),
  ],
  ['a record has another name', record(), { ...record(), name: 'Other' }],
]

describe.skipIf(missing !== undefined)(`beside Apicurio Registry${because(missing)}`, () => {
  let server: SchemaRegistryServer
  let subjects = 0
  let cwd: string

  beforeAll(async () => {
    server = await SchemaRegistryServer.start()
  })
  afterAll(() => server?.close())
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'weir-schemas-'))
  })
  afterEach(() => rmSync(cwd, { recursive: true }))

  const sides = { writer: 'v1', reader: 'v2', newer: 'reader' } as const

  async function askBoth(
    writer: object,
    reader: object,
    type: 'JSON' | 'AVRO',
  ): Promise<{ weir: boolean; registry: boolean }> {
    const subject = `pair-${++subjects}`
    const [one, other] =
      type === 'JSON' ? [writer, reader].map((schema) => ({ $schema: draft, ...schema })) : [writer, reader]
    await server.register(subject, one, type)
    const version = (schema: object) => (type === 'JSON' ? jsonVersion(schema as JsonSchema) : avroVersion(schema))
    return {
      weir: compareSchemas(version(one), version(other), sides).verdict === 'compatible',
      registry: await server.isCompatible(subject, other, type),
    }
  }

  test.each(json)('JSON Schema, as the registry says: %s', async (_what, writer, reader) => {
    const { weir, registry } = await askBoth(writer, reader, 'JSON')
    expect(weir).toBe(registry)
  })

  test.each(differing)('JSON Schema, otherwise than the registry: %s', async (_why, writer, reader) => {
    expect(await askBoth(writer, reader, 'JSON')).toEqual({ weir: true, registry: false })
  })

  test.each(avro)('Avro, as the registry says: %s', async (_what, writer, reader) => {
    const { weir, registry } = await askBoth(writer as object, reader as object, 'AVRO')
    expect(weir).toBe(registry)
  })

  const write = (files: Readonly<Record<string, unknown>>) => writeFiles(cwd, files)

  const weir = (...argv: string[]) => weirIn(cwd, argv, { SCHEMA_REGISTRY_URL: server.url })

  test('a folder is registered, listed, compared, and read back by event type', async () => {
    write({
      'schemas/a-base/v1.json': {
        $schema: draft,
        type: 'object',
        properties: { userId: integer },
        required: ['userId'],
      },
      'schemas/signup/v1.json': {
        $schema: draft,
        allOf: [{ $ref: '../a-base/v1.json' }],
        properties: { plan: string },
      },
    })
    expect(await weir('schema', 'diff')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('+ signup/v1   not registered'),
    })
    const registered = await weir('schema', 'register')
    expect(registered).toMatchObject({ code: 0, stderr: '' })
    expect(registered.stdout).toMatch(/\+ {3}a-base\/v1 +version 1 +id \d+ +registered/)
    expect((await weir('schema', 'register')).stdout).toMatch(/= {3}signup\/v1 +version 1 +id \d+ +was there/)
    expect(await weir('schema', 'diff')).toMatchObject({ code: 0 })
    expect((await weir('schema', 'ls')).stdout).toMatch(/signup +JSON +1 +\d+ +BACKWARD/)

    const { definition } = eventSchemas
    const schemas = definition.open(definition.options.parse({ from: server.url }), {
      app: 'test',
      name: 'schemas',
      clock: systemClock,
      log: silentLogger,
      production: false,
      dataDirectory: cwd,
    })
    try {
      const [version] = await firstValueFrom(schemas.versions('signup'))
      expect(version?.judge({ userId: 1, plan: 'free' })).toEqual({ value: { userId: 1, plan: 'free' } })
      expect(version?.judge({ plan: 1 })).toEqual({ faults: ['userId: is missing', 'plan: must be string'] })
      expect(await firstValueFrom(schemas.versions('nothing'))).toEqual([])
      server.requests.length = 0
      expect(schemas.known('signup')).toHaveLength(1)
      await firstValueFrom(schemas.versions('signup'))
      expect(server.requests).toEqual([])
    } finally {
      await schemas.close()
    }
  })

  test('what the registry refuses ends with its reason, and diff says it before', async () => {
    write({ 'schemas/order/v1.json': { $schema: draft, ...closed({ a: string }) } })
    expect(await weir('schema', 'register')).toMatchObject({ code: 0 })
    write({ 'schemas/order/v2.json': { $schema: draft, ...closed({}) } })
    const diff = await weir('schema', 'diff')
    expect(diff.stdout).toContain('+ order/v2   not registered, and would be refused')
    expect(diff.stdout).toContain("registered v1 may have 'a', which v2 does not allow")
    const refused = await weir('schema', 'register')
    expect(refused.code).toBe(78)
    expect(refused.stderr).toMatch(/registering the schema of subject 'order'/)
  })

  /** Checks a flow that reads a topic through a stage; each time from another file, for Node loads one once. */
  async function check(stage: string, ...more: readonly string[]) {
    const file = `flows-${++subjects}.config.ts`
    const topic = `checked-${stage.slice(0, stage.indexOf('.'))}`
    const lines = [
      "import { avro, consoleSink, defineConfig, env, flow, jsonSchema, kafka, schemaRegistry } from 'weirflow'",
      `import { z } from '${fileURLToPath(import.meta.resolve('zod'))}'`,
      'export default defineConfig({',
      '  connections: {',
      "    kafka: kafka({ brokers: 'localhost:9092' }),",
      "    registry: schemaRegistry({ url: env('SCHEMA_REGISTRY_URL'), timeout: '20s' }),",
      '  },',
      `  flows: { orders: flow(kafka.source({ topic: '${topic}' }), ${stage}, consoleSink()) },`,
      '})',
    ]
    writeFileSync(join(cwd, file), lines.join('\n'))
    return weir('check', '--config', file, ...more)
  }

  test('weir check refuses an Avro schema that can not read what the newest of its topic wrote', async () => {
    await server.register('checked-avro-value', record(field('id', 'int')))
    await server.register('checked-avro-value', record(field('id', 'long')))
    const own = (type: string, more = '') =>
      `avro.decode({ type: 'record', name: 'Event', fields: [{ name: 'id', type: '${type}' }${more}] })`
    expect(await check(own('double'))).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/the schemas in http.* fit/),
    })
    const refused = await check(own('int'))
    expect(refused.code).toBe(78)
    expect(refused.stderr).toContain(
      "flow 'orders', stage 'avro.decode': its schema can not read what v2 of 'checked-avro-value' wrote: id: v2 may write long, the stage reads int",
    )
    expect((await check(own('long', ", { name: 'plan', type: 'string' }"), '--json')).code).toBe(78)
  })

  test('and a zod schema', async () => {
    const subject = 'checked-jsonSchema-value'
    await server.register(subject, { $schema: draft, ...closed({ id: string }, { required: ['id'] }) }, 'JSON')
    expect((await check('jsonSchema.decode(z.object({ id: z.number() }))')).stderr).toContain(
      'id: v1 may be string, the stage takes number only',
    )
    expect(await check('jsonSchema.decode(z.object({ id: z.string() }))')).toMatchObject({ code: 0 })
  })

  test('a registry that is away is told, and refuses nothing', async () => {
    server.outage = 500
    try {
      const { code, stdout } = await check("avro.decode({ type: 'record', name: 'Event', fields: [] })")
      expect(code).toBe(0)
      expect(stdout).toMatch(/the schemas in http.* were not looked at: listing the versions of 'checked-avro-value'/)
    } finally {
      server.outage = undefined
    }
  })
})
