import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { closest } from '../../src/config/closest.js'
import { defineConfig } from '../../src/config/define-config.js'
import { configFaults, describeConfigError } from '../../src/config/describe.js'
import { loadConfig } from '../../src/config/load.js'
import { redactor } from '../../src/config/secrets.js'
import { ConfigError } from '../../src/engine/config-error.js'
import { Flow } from '../../src/engine/flow.js'
import { defineConnection, defineSink, defineSource, env, secret } from '../../src/model/index.js'

const options = z.strictObject({ text: z.string() })
const source = defineSource({
  name: 'test.source',
  summary: '-',
  options,
  replayable: true,
  build: () => {
    throw new Error()
  },
})
const sink = defineSink({
  name: 'test.sink',
  summary: '-',
  options,
  guarantee: () => 'at-least-once',
  build: () => {
    throw new Error()
  },
})
const connect = defineConnection({
  kind: 'test',
  summary: '-',
  options: z.strictObject({ url: z.string(), password: z.string().optional() }),
  open: () => {
    throw new Error()
  },
})

const flow = (from: unknown = 'a', to: unknown = 'b') =>
  new Flow([{ source: source.declare({ text: from }), stages: [] }], [], sink.declare({ text: to }))

const modules = { weirflow: { defineConfig, env, flow, connect, stage: source.declare } }
const declaredIn = (scope: object) => (scope as { declared?: { declaredAt: Error } }).declared?.declaredAt

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-config-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const write = (name: string, ...lines: string[]) => writeFileSync(join(cwd, name), `${lines.join('\n')}\n`)
const load = (more: object = {}) => loadConfig({ cwd, environment: {}, modules, ...more })
const failure = (more: object = {}) =>
  load(more).then(
    () => {
      throw new Error('it loaded')
    },
    (error: unknown) => error,
  )
const text = async (more: object = {}) => describeConfigError(await failure(more), cwd)

describe('loading', () => {
  test('gives what the file exports, made of the one instance of the package', async () => {
    write(
      'flows.config.ts',
      "import { defineConfig, flow } from 'weirflow'",
      'interface Named { readonly app: string }',
      "const named: Named = { app: 'shop' }",
      'export default defineConfig({ ...named, flows: { one: flow() } })',
    )
    const { config, file } = await load()
    expect(file).toBe(join(cwd, 'flows.config.ts'))
    expect(config.app).toBe('shop')
    expect(config.flows['one']).toBeInstanceOf(Flow)
  })

  test.each(['flows.config.mts', 'flows.config.js'])('finds %s too', async (name) => {
    write(name, "import { flow } from 'weirflow'", 'export default { flows: { one: flow() } }')
    expect((await load()).file).toBe(join(cwd, name))
  })

  test('takes the file that is named', async () => {
    write('other.ts', "import { flow } from 'weirflow'", "export default { app: 'other', flows: { one: flow() } }")
    expect((await load({ file: 'other.ts' })).config.app).toBe('other')
  })

  test('says where it looked when there is none', async () => {
    expect(await failure()).toMatchObject({ code: 'WEIR_CONFIG_NOT_FOUND', message: expect.stringContaining(cwd) })
    expect(await failure({ file: 'no.ts' })).toMatchObject({ message: expect.stringContaining(join(cwd, 'no.ts')) })
  })

  test('reads .env, which overrides nothing', async () => {
    write('flows.config.ts', "import { flow } from 'weirflow'", 'export default { flows: { one: flow() } }')
    write('.env', 'ONE=file', 'TWO=file')
    expect((await load({ environment: { ONE: 'set' } })).environment).toEqual({ ONE: 'set', TWO: 'file' })
  })
})

describe('a fault', () => {
  test('in the syntax is shown at its line and column', async () => {
    write('flows.config.ts', 'const a = 1', '', 'export default {', '  flows: {} a', '}')
    expect(await text()).toBe(
      [
        'loading flows.config.ts: Unexpected token, expected ","',
        '',
        '  at flows.config.ts:4:13',
        '    2 |',
        '    3 | export default {',
        '  > 4 |   flows: {} a',
        '      |             ^',
        '    5 | }',
        '    6 |',
      ].join('\n'),
    )
  })

  test('that the code throws is shown at its line, types or not', async () => {
    write(
      'flows.config.ts',
      'interface A {',
      '  readonly b: string',
      '}',
      'const a = undefined as unknown as A',
      'export default a.b',
    )
    expect(await text()).toContain('at flows.config.ts:5\n')
    expect(await text()).toContain('> 5 | export default a.b')
  })

  test('in another file is shown there', async () => {
    write('flow.ts', '', "throw new Error('no such table')")
    write('flows.config.ts', "import './flow.js'", 'export default {}')
    expect(await text()).toContain('loading flows.config.ts: no such table\n\n  at flow.ts:2\n')
  })

  test('of a missing import names it', async () => {
    write('flows.config.ts', "import './nowhere.js'", 'export default {}')
    expect(await failure()).toMatchObject({
      code: 'WEIR_CONFIG_NOT_FOUND',
      message: expect.stringContaining('./nowhere.js'),
    })
  })

  test.each([
    ['export const a = 1', 'the configuration exports nothing by default'],
    ['export default 7', 'the configuration exports number by default'],
    ['export default {}', 'flows: expected an object of name: flow(source, …, sink)'],
    ['export default { flows: {} }', 'flows: there are none'],
    ['export default { flows: { a: {} } }', 'flows.a: expected flow(source, …, sink)'],
    ['export default { flows: { a: {} }, connections: { k: 1 } }', 'connections.k: expected a connection'],
    ['export default { flow: {} }', "Did you mean 'flows'?"],
    ['export default { app: 7, flows: {} }', 'app: expected a string'],
    ['export default { flows: { a: {} }, run: "a" }', 'run: expected a list of names of flows'],
    ['export default { flows: { a: {} }, run: ["b"] }', "run: no flow is called 'b'"],
    ['export default { flows: { a: {} }, systems: ["a"] }', 'systems.0: expected a list of names of flows'],
    ['export default { flows: { a: {} }, systems: 7 }', 'systems: expected an object of name: list of names of flows'],
    ['export default { flows: { a: {} }, systems: { s: ["b"] } }', "systems.s: no flow is called 'b'"],
  ])('of shape is told: %s', async (code, expected) => {
    write('flows.config.ts', code)
    expect(await failure()).toMatchObject({ code: 'WEIR_CONFIG_INVALID' })
    expect(await text()).toContain(expected)
  })

  test('of a stage is shown where the user declared it', async () => {
    write(
      'flows.config.ts',
      "import { flow, stage } from 'weirflow'",
      'interface A {}',
      'globalThis.declared =',
      '  stage({})',
      'export default { flows: { a: flow() } }',
    )
    await load()
    const error = new ConfigError([
      { message: 'it does not hold', hint: 'Mend it.', declaredAt: declaredIn(globalThis) },
    ])
    expect(configFaults(error, cwd)).toEqual([
      { message: 'it does not hold', hint: 'Mend it.', file: 'flows.config.ts', line: 4 },
    ])
    expect(describeConfigError(error, cwd)).toContain('> 4 |   stage({})')
  })
})

describe('secrets', () => {
  const config = {
    connections: { db: connect({ url: secret('DB_URL'), password: secret('DB_PASSWORD').default('postgres') }) },
    flows: {
      one: flow(
        secret('TOKEN').map((token) => `Bearer ${token}`),
        env('PUBLIC'),
      ),
    },
  }

  test('are taken out of texts, with the password inside a URL', () => {
    const redact = redactor(config, { DB_URL: 'postgres://ann:s3cr%40t@db/x', TOKEN: 'abc123', PUBLIC: 'open' })
    expect(redact('to postgres://ann:s3cr%40t@db/x')).toBe('to [secret]')
    expect(redact('password s3cr@t or s3cr%40t')).toBe('password [secret] or [secret]')
    expect(redact('Bearer abc123, open')).toBe('Bearer [secret], open')
  })

  test('are found as JSON writes them', () => {
    const redact = redactor(config, { TOKEN: 'a"b\\c' })
    expect(redact(JSON.stringify({ token: 'a"b\\c' }))).toBe('{"token":"[secret]"}')
  })

  test('are read from files', () => {
    write('token', 'from-a-file')
    expect(redactor(config, { TOKEN_FILE: join(cwd, 'token') })('is from-a-file')).toBe('is [secret]')
  })

  test('leave texts alone where there are none, defaults included', () => {
    expect(redactor(config, {})('user postgres')).toBe('user postgres')
    expect(redactor(config, { TOKEN_FILE: join(cwd, 'nowhere') })('text')).toBe('text')
  })
})

test('the closest name is told unless none is near', () => {
  const names = ['activity-ingest', 'activity-metrics']
  expect(closest('activity-metric', names)).toBe('activity-metrics')
  expect(closest('ACTIVITY-INGESTS', names)).toBe('activity-ingest')
  expect(closest('payments', names)).toBe(undefined)
  expect(closest('group', ['topics', 'group_id'])).toBe('group_id')
  expect(closest('activity', names)).toBe(undefined)
})
