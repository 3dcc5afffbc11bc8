import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { weirIn } from '../support/weir.js'
import { writeFiles } from '../support/write-files.js'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-schema-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const write = (files: Readonly<Record<string, unknown>>) => writeFiles(cwd, files)

const weir = (argv: string[], env: Record<string, string> = {}) => weirIn(cwd, argv, env)

const closed = (properties: object, more: object = {}) => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
})
const id = { type: 'integer' }

test('weir schema check compares each version with the one before it', async () => {
  write({
    'schemas/signup/v1.json': closed({ id }),
    'schemas/signup/v2.json': closed({ id, plan: { type: 'string' } }),
    'schemas/signup/v3.json': closed({ id, plan: { type: 'string' } }, { required: ['plan'] }),
  })
  const { code, stdout } = await weir(['schema', 'check'])
  expect(code).toBe(1)
  expect(stdout).toBe(
    [
      'schemas of schemas, by BACKWARD',
      '',
      '✓ signup/v1   compatible',
      '✓ signup/v2   compatible',
      '✗ signup/v3   incompatible',
      "    v3 requires 'plan', which v2 may leave out (required)",
      '      for example {}',
      "      Leave 'plan' optional, or give it a default.",
      '',
    ].join('\n'),
  )
})

test('by another rule, of another folder, as JSON', async () => {
  write({
    'events/signup/v1.json': closed({ id }),
    'events/signup/v2.json': closed({ id, plan: { type: 'string' } }),
  })
  expect(await weir(['schema', 'check', 'events'])).toMatchObject({ code: 0 })
  const { code, stdout } = await weir(['schema', 'check', '--rule', 'full-transitive', '--json'], { SCHEMAS: 'events' })
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    rule: 'FULL_TRANSITIVE',
    changes: [
      { eventType: 'signup', version: 1, verdict: 'compatible' },
      { version: 2, verdict: 'incompatible', faults: [{ writer: 'v2', reader: 'v1', rule: 'closed-property' }] },
    ],
  })
})

test('what can not be told fails too, and says so', async () => {
  write({ 'schemas/a/v1.json': { pattern: '^[ab]+$' }, 'schemas/a/v2.json': { pattern: '^[a-z]+$' } })
  const { code, stdout } = await weir(['schema', 'check'])
  expect(code).toBe(1)
  expect(stdout).toContain('? a/v2   cannot tell')
  expect(stdout).toContain('it can not be told whether that breaks')
})

test('Avro', async () => {
  const record = (...fields: object[]) => ({ type: 'record', name: 'Signup', fields })
  write({
    'schemas/signup/v1.avsc': record({ name: 'id', type: 'int' }),
    'schemas/signup/v2.avsc': record({ name: 'id', type: 'long' }, { name: 'plan', type: 'string' }),
  })
  const { code, stdout } = await weir(['schema', 'check'])
  expect(code).toBe(1)
  expect(stdout).toContain("v2 has the field 'plan' without a default, and v1 does not write it (field)")
})

test.each([
  [['schema', 'check', '--rule', 'sideways'], 2, /no rule is called 'sideways'/],
  [['schema', 'check', 'nowhere'], 78, /reading the schemas of .*nowhere/],
  [['schema', 'ls'], 2, /which registry\?/],
] as const)('weir %s ends with %s', async (argv, code, text) => {
  const ended = await weir([...argv])
  expect(ended.code).toBe(code)
  expect(ended.stderr).toMatch(text)
})

test('a registry that nobody runs is named', async () => {
  const ended = await weir(['schema', 'ls', '--registry', 'http://ann:secret@127.0.0.1:9'])
  expect(ended.code).toBe(1)
  expect(ended.stderr).toContain('listing the subjects: http://127.0.0.1:9/ answered')
  expect(ended.stderr).not.toContain('secret')
})

test('weir check refuses a folder of schemas that do not hold', async () => {
  write({ 'schemas/a/v1.json': { $ref: '#/$defs/nowhere' } })
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    [
      "import { consoleSink, defineConfig, eventSchemas, flow, json, kafka, validate } from 'weirflow'",
      'export default defineConfig({',
      `  connections: { kafka: kafka({ brokers: 'localhost:9092' }), schemas: eventSchemas({ from: '${cwd}/schemas' }) },`,
      "  flows: { events: flow(kafka.source({ topic: 'events' }), json(), validate(), consoleSink()) },",
      '})',
    ].join('\n'),
  )
  const refused = await weir(['check'])
  expect(refused.code).toBe(78)
  expect(refused.stderr).toMatch(/connection 'schemas': compiling the schema .*a\/v1\.json: /)
  write({ 'schemas/a/v1.json': {} })
  expect(await weir(['check'])).toMatchObject({ code: 0 })
})
