import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { interpolate } from '../../src/config/interpolate.js'
import { redactor } from '../../src/config/secrets.js'
import { yaml } from '../../src/config/yaml.js'
import type { ConfigFault } from '../../src/engine/config-error.js'
import { type ConfigError, defineConfig, env, flow, http, kafka, secret } from '../../src/index.js'
import type { Environment } from '../../src/model/index.js'
import { consoleSink } from '../../src/sinks/console.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-yaml-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const App = z.strictObject({
  name: z.string().min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
  ratio: z.number().optional(),
  debug: z.boolean().optional(),
  mode: z.enum(['fast', 'safe']).optional(),
  hosts: z.union([z.string(), z.array(z.string())], 'expected a host, or a list of hosts').optional(),
  db: z
    .strictObject({
      url: z.url().optional(),
      password: z.string().optional(),
      pool: z.strictObject({ size: z.int() }).optional(),
    })
    .optional(),
})

let files = 0
/** The settings of a file of that text. */
function app(text: string | Uint8Array) {
  const name = `${files++}.yaml`
  writeFileSync(join(folder, name), text)
  return Object.assign(yaml(name, App), { name })
}

const valueOf = (text: string | Uint8Array, environment: Environment = {}) => app(text).read(environment, folder)

/** What is wrong, as `line:column reason → mend`. */
function faultsOf(text: string | Uint8Array, environment: Environment = {}): string[] {
  const settings = app(text)
  return told(() => settings.read(environment, folder)).map(({ message, hint, place }) => {
    if (place !== undefined) expect(place.file).toBe(join(folder, settings.name))
    return `${place?.line}:${place?.column} ${message.replace(`reading ${settings.name}: `, '')} → ${hint}`
  })
}

function told(read: () => unknown): readonly ConfigFault[] {
  try {
    read()
  } catch (error) {
    return (error as ConfigError).faults
  }
  throw new Error('nothing was wrong')
}

describe('layers', () => {
  const settings = () => {
    const file = app('port: 8080\nname: from-file\nhosts: [a, b]\ndb: { pool: { size: 3 } }\n')
    return {
      file,
      port: env('PORT').int().or(file.at('port')).default(80),
      mode: env('MODE').or(file.at('mode')).default('safe'),
      hosts: env('HOSTS').or(file.at('hosts')).list(),
      size: file.at('db.pool.size'),
    }
  }

  test('are the environment, the file, and defaults', () => {
    const { port, mode, hosts, size } = settings()
    const read = (environment: Environment) =>
      [port, mode, hosts, size].map((setting) => setting.read(environment, folder))
    expect(read({})).toEqual([8080, 'safe', ['a', 'b'], 3])
    expect(read({ PORT: '9', MODE: 'fast', HOSTS: 'c, d' })).toEqual([9, 'fast', ['c', 'd'], 3])
    expect(read({ PORT: '', MODE: '' })).toEqual([8080, 'safe', ['a', 'b'], 3])
  })

  test('tell what could have been set, and where', () => {
    const { file } = settings()
    const url = env('DB_URL').or(file.at('db.url'))
    expect(() => url.read({}, folder)).toThrow(
      expect.objectContaining({
        message: `reading the environment: DB_URL or db.url of ${file.name} is not set`,
        hint: `Set DB_URL, or db.url of ${file.name}, or give it a default.`,
        source: { file: join(folder, file.name), line: 4, column: 1 },
      }),
    )
  })

  test('have a key without a value for one that is not set, as empty variables are', () => {
    const file = app('name:\nport: ${PORT:-}\ndb:\n')
    expect(file.read({}, folder)).toEqual({})
    expect(file.at('name').default('none').read({}, folder)).toBe('none')
    expect(file.at('db.url').optional().read({}, folder)).toBe(undefined)
  })

  test('pass over what a projection makes undefined', () => {
    const file = app('mode: safe')
    const setting = file
      .at('mode')
      .map((mode) => (mode === 'fast' ? 1 : undefined))
      .or(env('N').int())
    expect([setting.read({ N: '2' }, folder), setting.default(3).read({}, folder)]).toEqual([2, 3])
  })

  test('have a file read once, so that all its settings are of one text', () => {
    const file = app('name: first')
    const environment = {}
    expect(file.at('name').read(environment, folder)).toBe('first')
    writeFileSync(join(folder, file.name), 'name: second')
    expect(file.at('name').read(environment, folder)).toBe('first')
    expect(file.at('name').read({}, folder)).toBe('second')
  })
})

describe('a choice', () => {
  const store = (backend = env('BACKEND')) =>
    backend.choose({
      file: { kind: 'file', path: env('DIR').default('here') },
      s3: { kind: 's3', bucket: env('BUCKET') },
    })

  test('reads only what is chosen', () => {
    expect(store().read({ BACKEND: 'file' })).toEqual({ kind: 'file', path: 'here' })
    expect(store().read({ BACKEND: 'S3', BUCKET: 'b' })).toEqual({ kind: 's3', bucket: 'b' })
    expect(() => store().read({ BACKEND: 's3' })).toThrow('BUCKET is not set')
    expect(() => store().read({ BACKEND: 'tape' })).toThrow("reading BACKEND: 'tape' is not one of file, s3")
  })

  test('hides the secrets of all that could be chosen', () => {
    const password = env('WHICH')
      .default('a')
      .choose({ a: { by: secret('A') }, b: { by: secret('B') } })
    const config = { connections: { k: kafka({ brokers: 'b:1', clientId: password as never }) }, flows: {} }
    expect(redactor(config, { A: 'one-secret', B: 'two-secret' })('one-secret, two-secret')).toBe('[secret], [secret]')
  })
})

describe('where a file is', () => {
  test('is beside the configuration, and it need not be there', () => {
    expect(yaml('nowhere.yaml', App).at('name').default('none').read({}, folder)).toBe('none')
    expect(() => yaml('nowhere.yaml', App).at('name').read({}, folder)).toThrow('name of nowhere.yaml is not set')
  })

  test('is the working directory when a variable says so, and it has to be there', () => {
    const file = yaml(env('APP_CONFIG').default('nowhere.yaml'), App)
    expect(file.at('name').default('none').read({}, folder)).toBe('none')
    expect(told(() => file.at('name').default('none').read({ APP_CONFIG: 'config/app.yaml' }, folder))).toEqual([
      {
        message: `reading config/app.yaml: there is no file ${resolve('config/app.yaml')}`,
        hint: 'Correct APP_CONFIG, or unset it.',
      },
    ])
    const { name } = app('name: named')
    expect(file.at('name').read({ APP_CONFIG: join(folder, name) })).toBe('named')
  })

  test('has to be a file, in UTF-8', () => {
    expect(told(() => yaml('.', App).read({}, folder))[0]?.message).toMatch(/^reading \.: EISDIR/)
    expect(told(() => yaml(env('C'), App).read({ C: folder }, folder))[0]?.hint).toBe('Correct C, or unset it.')
    expect(faultsOf(new Uint8Array([0x61, 0x3a, 0x20, 0xff]))).toEqual([
      'undefined:undefined The encoded data was not valid for encoding utf-8 → Save it as text in UTF-8 that this user may read.',
    ])
  })

  test.each([
    ['with a byte order mark', '\ufeffname: x\n'],
    ['with the line ends of Windows', '# first\r\nname: x\r\n'],
    ['as JSON', '{"name": "x"}'],
    ['with a marker before it', '---\nname: x\n...\n'],
  ])('may be written %s', (_, text) => {
    expect(valueOf(text)).toEqual({ name: 'x' })
  })

  test('may be empty', () => {
    expect([valueOf(''), valueOf('# nothing\n')]).toEqual([{}, {}])
  })
})

describe('variables', () => {
  test.each([
    ['name: ${A}', 'one'],
    ['name: "${A}"', 'one'],
    ["name: '${A}'", 'one'],
    ['name: >-\n  ${A}', 'one'],
    ['name: ${A}-${B:-b}', 'one-b'],
    ['name: ${B:-}x', 'x'],
    ['name: "${B:-two: words}"', 'two: words'],
    ['name: $${A}', '${A}'],
    ['name: $A $$ 5$', '$A $$ 5$'],
    ['name: ${E:-empty}', 'empty'],
    ['name: ${TRICK}', '${A}'],
    ['name: ${LINES}', 'a\nport: 1'],
  ])('are put into %s', (text, name) => {
    expect(valueOf(text, { A: 'one', E: '', TRICK: '${A}', LINES: 'a\nport: 1' })).toEqual({ name })
  })

  test('come as they are, whatever they hold', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'binary' }), (value) => {
        expect(valueOf('name: ${V}', { V: value })).toEqual({ name: value })
        expect(valueOf('name: "<${V}>"', { V: value })).toEqual({ name: `<${value}>` })
      }),
      { numRuns: 60 },
    )
  })

  test('leave other text as it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('${'))
        expect(interpolate(text, {})).toEqual({ text, values: [], faults: [] })
      }),
    )
  })

  test('are not put into keys', () => {
    expect(faultsOf('${A}: 1', { A: 'name' })).toEqual([expect.stringMatching(/^1:1 there is no setting '\$\{A\}'/)])
  })

  test('may lie in a file of their own', () => {
    writeFileSync(join(folder, 'password'), 'hunter2\n')
    expect(valueOf('db: { password: "${PW}" }', { PW_FILE: join(folder, 'password') })).toEqual({
      db: { password: 'hunter2' },
    })
    expect(faultsOf('name: ${PW}', { PW_FILE: join(folder, 'gone') })).toEqual([
      expect.stringMatching(/^1:7 reading PW_FILE: ENOENT.* → Correct PW_FILE\.$/),
    ])
  })

  test('that are not set are told by the setting that is read, and no other', () => {
    const file = app('name: ${NAME}\ndb:\n  password: a-${PW}-${PX}\n  pool: { size: 1 }\n')
    expect(file.at('db.pool.size').read({}, folder)).toBe(1)
    const of = (read: () => unknown) =>
      told(read).map(({ message, place }) => `${place?.line}:${place?.column} ${message}`)
    expect(of(() => file.at('name').default('x').read({}, folder))).toEqual([
      `1:7 reading ${file.name}: NAME is not set`,
    ])
    expect(of(() => file.at('db').read({}, folder))).toEqual([
      `3:15 reading ${file.name}: PW is not set`,
      `3:21 reading ${file.name}: PX is not set`,
    ])
  })

  test('that are not set are told with everything else', () => {
    expect(faultsOf('name: ${NAME}\nport: x\nmode: ${}\ndb: { pool: { size: "${SIZE}" } }\n')).toEqual([
      '1:7 NAME is not set → Set NAME, or write ${NAME:-default}.',
      "2:7 'port' has to be a number, and is 'x' → Write a number.",
      "3:7 '${}' is no variable → Write ${NAME} or ${NAME:-default}, or $${ for the characters themselves.",
      '4:22 SIZE is not set → Set SIZE, or write ${SIZE:-default}.',
    ])
  })

  test.each(['${A B}', '${A:x}', '${A-x}', '${1A}', '${A', '${A:?x}'])('have no other spelling: %s', (reference) => {
    expect(faultsOf(`name: x ${reference}`, { A: 'a' })).toEqual([
      expect.stringContaining(`'${reference}' is no variable`),
    ])
  })
})

describe('text without quotes', () => {
  test.each<[string, unknown]>([
    ['name: 42', { name: '42' }],
    ['name: 0012', { name: '0012' }],
    ['name: 1.10', { name: '1.10' }],
    ['name: true', { name: 'true' }],
    ['name: no', { name: 'no' }],
    ['port: 42', { port: 42 }],
    ['port: ${N}', { port: 42 }],
    ['ratio: ${F:-0.5}', { ratio: 0.5 }],
    ['debug: ${T}', { debug: true }],
    ['name: ${N}', { name: '42' }],
    ['hosts: [1, x, 2]', { hosts: ['1', 'x', '2'] }],
    ['hosts: 7', { hosts: '7' }],
  ])('is what the schema takes: %s', (text, value) => {
    expect(valueOf(text, { N: '42', T: 'true' })).toEqual(value)
  })

  test('is told as it looks when the schema takes neither', () => {
    expect(faultsOf('port: 1.5\nname: [1]\nmode: 7\nratio: ${R}\ndebug: ${D}\n', { R: 'x', D: '7' })).toEqual([
      "1:7 'port' has to be a whole number, and is 1.5 → Write a number without a fraction.",
      "2:7 'name' has to be text, and is a list → Write text.",
      "3:7 'mode' has to be one of fast, safe, and is '7' → Write fast or safe.",
      "4:8 'ratio' has to be a number, and is 'x' → Write a number.",
      "5:8 'debug' has to be true or false, and is 7 → Write true or false.",
    ])
  })
})

describe('a fault', () => {
  test.each<[what: string, text: string, fault: string]>([
    ['an unknown key', 'nmae: x', "1:1 there is no setting 'nmae' → Did you mean 'name'?"],
    ['a key of elsewhere', 'name: x\nsize: 1', "2:1 there is no setting 'size' → It belongs under 'db.pool'."],
    ['a key of the top', 'db:\n  port: 1', "2:3 there is no setting 'db.port' → It belongs at the top."],
    [
      'a key like no other',
      'db:\n  xxxxxxx: 1',
      "2:3 there is no setting 'db.xxxxxxx' → There can be url, password, pool.",
    ],
    ['a number in quotes', 'port: "80"', "1:7 'port' has to be a number, and is '80' → Leave out the quotes."],
    ['a word', 'port: lots', "1:7 'port' has to be a number, and is 'lots' → Write a number."],
    [
      'a word for a choice',
      'mode: fats',
      "1:7 'mode' has to be one of fast, safe, and is 'fats' → Did you mean 'fast'?",
    ],
    ['too little', 'port: 0', "1:7 'port' is 0: expected number to be >=1 → Write 1 or more."],
    ['too much', 'port: 65536', "1:7 'port' is 65536: expected number to be <=65535 → Write 65535 or less."],
    [
      'a value for keys',
      'db: here',
      "1:5 'db' has to be keys with values, and is 'here' → There can be url, password, pool below it.",
    ],
    ['keys for a value', 'name:\n  x: 1', "2:3 'name' has to be text, and is keys with values → Write text."],
    [
      'a list at the top',
      '- name',
      '1:1 it has to be keys with values, and is a list → There can be name, port, ratio, debug, mode, hosts, db below it.',
    ],
    ['something missing', 'db:\n  pool: {}', "2:3 'db.pool.size' is missing → Add it: `size: …`."],
    ['a URL', 'db: { url: nowhere }', "1:12 'db.url' is 'nowhere': Invalid URL → Correct it there, or leave it out."],
    [
      'none of two',
      'hosts: { a: 1 }',
      "1:8 'hosts' is keys with values: expected a host, or a list of hosts → Correct it there, or leave it out.",
    ],
    ['a key twice', 'name: x\nport: 1\nname: y', '3:1 map keys must be unique → Keep one of them.'],
    [
      'an open quote',
      'port: 1\nname: "x',
      '2:9 missing closing "quote → Close the quote or the bracket; a setting is written `key: value`, with a blank behind the colon.',
    ],
    ['a tab', 'db:\n\turl: x', '2:1 tabs are not allowed as indentation → Indent with blanks in place of tabs.'],
    [
      'two documents',
      'name: x\n---\nname: y',
      '2:1 source contains multiple documents; please use YAML.parseAllDocuments() → Keep one document: leave out the lines `---`.',
    ],
    [
      'a colon in text',
      'name: a: b',
      '1:7 nested mappings are not allowed in compact mappings → Put the value in quotes, or what belongs to the key into lines of its own below it.',
    ],
    ['a tag', 'name: !secret x', '1:7 unresolved tag: !secret → Leave the tag out.'],
    ['an alias of nothing', 'name: *x', '1:7 there is no anchor &x → Write out what it stands for.'],
    ['a variable in brackets', 'hosts: [${A}, b]', '1:10 … → Put ${…} in quotes inside of [ ] and { }.'],
  ])('is told with its place, why, and what to do: %s', (_, text, fault) => {
    const faults = faultsOf(text, { A: 'a' })
    expect(/^\S+ … →/.test(fault) ? [faults[0]?.replace(/(?<= ).* → /, '… → ')] : faults).toEqual([fault])
  })

  test('is where the key is, wherever that lies', () => {
    const key = fc.stringMatching(/^[a-z]{3,8}$/)
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        fc.string().filter((text) => !text.includes('${')),
        fc.integer(),
        fc.dictionary(key, tie('node'), { minKeys: 1, maxKeys: 4 }),
      ),
    })).node
    fc.assert(
      fc.property(fc.dictionary(key, tree, { minKeys: 1 }), fc.nat(), fc.boolean(), (document, spot, isFlow) => {
        const maps = [...mapsIn(document)]
        const chosen = maps[spot % maps.length] as Record<string, unknown>
        chosen['wrong'] = 7
        const name = `${files++}.yaml`
        const text = stringify(document, isFlow ? { collectionStyle: 'flow', lineWidth: 40 } : {})
        writeFileSync(join(folder, name), text)
        const schema = z.custom<unknown>().superRefine((value, context) => {
          const path = pathTo(value)
          if (path !== undefined) context.addIssue({ code: 'custom', path, message: 'no' })
        })
        const [fault] = told(() => yaml(name, schema).read({}, folder))
        const { line = 0, column = 0 } = fault?.place ?? {}
        expect(text.split('\n')[line - 1]?.slice(column - 1)).toMatch(/^7/)
        expect(text.split('\n')[line - 1]?.slice(0, column - 1)).toMatch(/wrong: $/)
      }),
      { numRuns: 100 },
    )
  })

  test('of anchors that lead round or multiply is told, and not followed', () => {
    expect(faultsOf('db: &a\n  pool: *a\n')).toEqual([
      expect.stringMatching(/^1:1 .* → Write out what its aliases stand for\.$/),
    ])
    const bomb = Array.from(
      { length: 12 },
      (_, level) =>
        `x${level}: &x${level} [${Array(12)
          .fill(level ? `*x${level - 1}` : 'lol')
          .join()}]`,
    )
    expect(faultsOf(bomb.join('\n'))).toEqual([expect.stringMatching(/resource exhaustion/)])
  })

  test('of an anchor is where the value stands', () => {
    expect(valueOf('db: { pool: &p { size: 3 } }')).toEqual({ db: { pool: { size: 3 } } })
    expect(faultsOf('ratio: &r lots\nport: *r\n')).toEqual([
      "1:11 'port' has to be a number, and is 'lots' → Write a number.",
      "1:11 'ratio' has to be a number, and is 'lots' → Write a number.",
    ])
  })

  test('of a schema that is not of zod is told by its own words', () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: () => ({ issues: [{ message: 'not today', path: ['a', { key: 'b' }] }] }),
      },
    }
    const { name } = app('a:\n  b: 1')
    expect(told(() => yaml(name, schema).read({}, folder))).toMatchObject([
      { message: `reading ${name}: 'a.b' is 1: not today`, place: { line: 2, column: 6 } },
    ])
  })

  test('of a schema that answers asynchronously is told', () => {
    const { name } = app('a: 1')
    const later = z.strictObject({ a: z.number() }).refine(async () => Promise.resolve(true))
    expect(told(() => yaml(name, later).read({}, folder))[0]?.message).toContain('asynchronously')
  })

  test('is one line each, with its place, for those who show no more than the message', () => {
    const { name } = app('prot: 1')
    expect(() => yaml(name, App).read({}, folder)).toThrow(
      `${join(folder, name)}:1:1: reading ${name}: there is no setting 'prot'. Did you mean 'port'?`,
    )
  })
})

describe('a secret', () => {
  const redact = (text: string, environment: Environment = {}, marked = false) => {
    const file = app(text)
    const clientId = marked ? secret('ID').or(file.at('name')).optional() : file.at('name').optional()
    const config = defineConfig({
      connections: { k: kafka({ brokers: 'b:1', clientId }) },
      flows: { a: flow(http.post('/a', { body: App }), consoleSink()) },
    })
    return redactor(config, environment, folder)
  }

  test('is what stands under a key that says so, as it is written and as it is', () => {
    expect(redact('db: { password: "hunt\\"er" }')('hunt"er or hunt\\"er')).toBe('[secret] or [secret]')
    expect(redact('db:\n  password: a-${PW}\n', { PW: 'hunter2' })('a-hunter2, hunter2')).toBe('[secret], [secret]')
    expect(redact('db:\n  password: ${PW:-by-default}\n')('by-default')).toBe('[secret]')
    expect(redact('db: { url: http://x }\nname: visible')('visible, http://x')).toBe('visible, http://x')
  })

  test('is what a secret may be read from', () => {
    expect(redact('name: visible', {}, true)('visible')).toBe('[secret]')
  })

  test('is known of a file that does not hold, for its lines are shown', () => {
    expect(redact('db:\n  password: hunter2\n  urll: x')('password: hunter2')).toBe('password: [secret]')
    expect(redact('db:\n  password: "hunter2\n  url: x')('  password: "hunter2')).toBe('  password: "[secret]')
    expect(redact('db:\n  password: "hun\n    ter2"')('ter2')).toBe('[secret]')
  })

  test('is not told in its own fault', () => {
    expect(faultsOf('db: { password: [hunter2] }')).toEqual([
      "1:17 'db.password' has to be text, and is a list → Write text.",
    ])
    const Pin = z.strictObject({ token: z.int() })
    const { name } = app('token: hunter2')
    expect(told(() => yaml(name, Pin).read({}, folder))[0]?.message).not.toContain('hunter2')
  })
})

function* mapsIn(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return
  yield value as Record<string, unknown>
  for (const inner of Object.values(value)) yield* mapsIn(inner)
}

function pathTo(value: unknown): string[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if ('wrong' in value) return ['wrong']
  for (const [key, inner] of Object.entries(value)) {
    const path = pathTo(inner)
    if (path !== undefined) return [key, ...path]
  }
  return undefined
}
