import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { weirIn } from '../support/weir.js'

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-wrong-'))
})
afterAll(() => rmSync(cwd, { recursive: true }))

const names =
  'aggregate, branch, consoleSink, count, defineConfig, flow, http, json, kafka, keyBy, map, merge, postgres, to, tumbling, view'
const source = "kafka.source({ topic: 't', group: 'g' })"
const ofFlow = (stages: string, more = '') => `
  connections: { kafka: kafka({ brokers: 'b:9092' }), db: postgres({ url: 'postgres://h/d' }) },
  checkpoints: 'db',
  ${more}
  flows: {
    a: flow(${stages}) as never,
  },`
const ofBrokers = (brokers: string) => `
  connections: {
    kafka: kafka({ brokers: ${brokers} }),
  },
  flows: { a: flow(${source}, consoleSink()) },`

let files = 0
/** What `weir check` says of a configuration, of which line 4 is the first of its fields. */
async function check(fields: string) {
  const file = `${files++}.config.ts`
  const schema =
    "const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const"
  writeFileSync(
    join(cwd, file),
    `import { ${names} } from 'weirflow'\n${schema}\nexport default defineConfig({${fields}\n} as never)\n`,
  )
  return weirIn(cwd, ['check', '-c', file])
}

const flowLine = 8
const mistakes: [what: string, fields: string, line: number, said: RegExp, hint: RegExp][] = [
  [
    'a stage is missing',
    ofFlow(`${source}, undefined as never, consoleSink()`),
    flowLine,
    /stage 1 is undefined/,
    /import/,
  ],
  [
    'an operator is not called',
    ofFlow(`${source}, json as never, consoleSink()`),
    flowLine,
    /the function 'json'/,
    /json\(…\)/,
  ],
  ['there is no sink', ofFlow(`${source}, json()`), flowLine, /the end is the operator 'json'/, /one sink/],
  ['there is but a source', ofFlow(`${source}`), flowLine, /the end is undefined/, /import/],
  ['there is nothing', ofFlow(''), flowLine, /the first stage is undefined/, /import/],
  [
    'a sink is in the middle',
    ofFlow(`${source}, consoleSink(), consoleSink()`),
    flowLine,
    /stage 1 is the sink/,
    /branch/,
  ],
  [
    'a source is in the middle',
    ofFlow(`${source}, ${source}, consoleSink()`),
    flowLine,
    /stage 1 is the source/,
    /merge/,
  ],
  ['it begins with a sink', ofFlow('consoleSink(), consoleSink()'), flowLine, /first stage is the sink/, /one source/],
  ['there are no branches', ofFlow(`${source}, branch()`), flowLine, /has no branches/, /to\(name/],
  [
    'a branch has no condition',
    ofFlow(`${source}, branch(to('x', consoleSink()))`),
    flowLine,
    /condition of branch 'x'/,
    /\(value\) =>/,
  ],
  ['a sink is given to branch', ofFlow(`${source}, branch(consoleSink())`), flowLine, /is no branch/, /to\(name/],
  [
    'branches share a name',
    ofFlow(`${source}, branch(to('x', Boolean, consoleSink()), to('x', Boolean, consoleSink()))`),
    flowLine,
    /two branches/,
    /name of its own/,
  ],
  [
    'a function is async that nobody awaits',
    ofFlow(`${source}, map(async (value) => value), consoleSink()`),
    flowLine,
    /answers at once/,
    /mapAsync/,
  ],
  [
    'a topic has a blank',
    ofFlow("kafka.source({ topic: 'my topic' }), consoleSink()"),
    flowLine,
    /name of a topic/,
    /at most 249/,
  ],
  ['a topic is a path', ofFlow(`${source}, kafka.sink({ topic: 'a/b' })`), flowLine, /name of a topic/, /at most 249/],
  [
    'a path has parameters',
    ofFlow("http.post('/a/:id', { body: Event }), consoleSink()"),
    flowLine,
    /no parameters/,
    /body/,
  ],
  [
    'a path is that of the worker',
    ofFlow(`${source}, view({ path: '/metrics', entries: () => [] })`),
    flowLine,
    /worker itself/,
    /another path/,
  ],
  [
    'the app has a blank',
    ofFlow(`${source}, consoleSink()`, "app: 'my app',"),
    6,
    /app: 'my app' is no name/,
    /letters/,
  ],
  [
    'a flow is named like a path',
    `\n flows: {\n  'a/b': flow(http.post('/a', { body: Event }), consoleSink()),\n },`,
    4,
    /'a\/b' is no name/,
    /letters/,
  ],
  [
    'a field is misspelt',
    ofFlow(`${source}, consoleSink()`, 'deadletters: 5,'),
    6,
    /deadletters: .*no such field/,
    /deadLetters/,
  ],
  [
    'checkpoints name nobody',
    '\n  flows: { a: flow(http.post("/a", { body: Event }), consoleSink()) },\n  checkpoints: "bd",',
    5,
    /no connection 'bd'/,
    /Declare it/,
  ],
  [
    'a port is none',
    ofFlow(`${source}, consoleSink()`, "http: { port: 'x' },"),
    6,
    /http: option 'port'/,
    /expected number/,
  ],
  [
    'a field of http is misspelt',
    ofFlow(`${source}, consoleSink()`, 'http: { prot: 1 },'),
    6,
    /http: Unrecognized key/,
    /prot/,
  ],
  ['what runs is nobody', ofFlow(`${source}, consoleSink()`, "run: ['aa'],"), 6, /no flow is called 'aa'/, /'a'/],
  ['brokers have a scheme', ofBrokers("'kafka://b:9092'"), 5, /without a scheme/, /host:port/],
  ['brokers have an impossible port', ofBrokers("'b:99999'"), 5, /host:port/, /embedded/],
  [
    'a password is not encoded',
    `\n  connections: {\n    db: postgres({ url: 'postgres://u:p@ss/w@h/d' }),\n  },\n flows: { a: flow(http.post('/a', { body: Event }), consoleSink()) },`,
    5,
    /in its password/,
    /%40/,
  ],
]

test.each(mistakes)(
  'where %s, weir check tells the line, the reason and the mend',
  async (_, fields, line, said, hint) => {
    const found = await check(fields)
    expect(found.code, found.said).toBe(78)
    expect(found.said).toMatch(said)
    expect(found.said).toMatch(hint)
    expect(found.said).toContain(`.config.ts:${line}`)
  },
)

test('flows that would share what they read are refused', async () => {
  const { code, said } = await check(`
    connections: { kafka: kafka({ brokers: 'b' }) },
    flows: { a: flow(${source}, consoleSink()), b: flow(${source}, consoleSink()) },`)
  expect([code, said]).toEqual([
    78,
    expect.stringMatching(/flows 'a' and 'b' both read topic 't' as group 'g'[^]*group of its own/),
  ])
})

test('flows that can not run side by side, and one that feeds itself, are warned of', async () => {
  const { code, said } = await check(`
    connections: { kafka: kafka({ brokers: 'b' }) },
    flows: {
      a: flow(http.post('/a', { body: Event }), consoleSink()),
      b: flow(http.post('/a', { body: Event }), consoleSink()),
      c: flow(${source}, kafka.sink({ topic: 't' })),
    },`)
  expect(code).toBe(0)
  expect(said).toMatch(/flow 'b' serves POST \/a, as flow 'a' does/)
  expect(said).toMatch(/flow 'c' writes to topic 't', which it reads/)
})
