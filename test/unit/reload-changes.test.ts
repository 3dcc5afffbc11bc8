import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { flowChanges } from '../../src/cli/reload.js'
import { loadConfig } from '../../src/config/load.js'
import { sign } from '../../src/config/signature.js'
import { compile } from '../../src/engine/index.js'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weir-reload-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

type Files = Readonly<Record<string, string>>

/** A file that is not read yet when it is written has an earlier time than the loading. */
function write(files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(directory, name)
    writeFileSync(file, text)
    // What is as long has another time.
    const at = Date.now() / 1_000 - 10 + text.length / 1_000
    utimesSync(file, at, at)
  }
}

async function signatures(environment: Record<string, string> = {}) {
  const modules = { weirflow: await import('../../src/index.js') }
  const { config, code } = await loadConfig({ cwd: directory, environment, modules })
  return sign(compile(config, { environment, directory }), code, directory)
}

/** Two flows: one that filters by what a module says, one that stands in the configuration itself. */
const base: Files = {
  'flows.config.ts': [
    "import { consoleSink, defineConfig, env, filter, flow, kafka, map } from 'weirflow'",
    "import { visits } from './visits.js'",
    'const limit = 5',
    'const big = (value: { size: number }) => value.size > limit',
    'export default defineConfig({',
    "  app: 'shop',",
    "  connections: { kafka: kafka({ brokers: 'b:9092' }), other: kafka({ brokers: env('OTHER').default('c:9092') }) },",
    '  flows: {',
    "    orders: flow(kafka.source({ topic: env('TOPIC').default('orders'), connection: 'kafka' }), filter(big as never), consoleSink()),",
    '    visits,',
    "    clicks: flow(kafka.source({ topic: 'clicks', connection: 'other' }), map((value) => value), consoleSink()),",
    '  },',
    '})',
  ].join('\n'),
  'visits.ts': [
    "import { consoleSink, filter, flow, kafka } from 'weirflow'",
    "import { least } from './least.js'",
    "export const visits = flow(kafka.source({ topic: 'visits', connection: 'kafka' }), filter(() => least > 0), consoleSink())",
  ].join('\n'),
  'least.ts': 'export const least = 1',
}
const config = base['flows.config.ts'] ?? ''
const visits = base['visits.ts'] ?? ''
const edited = (from: string, to: string, text = config): string => {
  expect(text).toContain(from)
  return text.replace(from, to)
}
const inConfig = (from: string, to: string): Files => ({ 'flows.config.ts': edited(from, to) })

const all = ['orders', 'visits', 'clicks']
const restart = (...names: string[]) => ({
  goOn: all.filter((name) => !names.includes(name)),
  restart: names,
  begin: [],
  end: [],
})

describe('what a reload changes', () => {
  // Loading all of the package takes its time.
  beforeAll(() => import('../../src/index.js'), 120_000)

  test.each<[what: string, next: () => Files, expected: object, environment?: Record<string, string>]>([
    ['nothing, of files that are the same', () => base, restart()],
    ['nothing, of lines that moved', () => inConfig('const limit', '\n\n\nconst limit'), restart()],
    ['nothing, of a type', () => inConfig('const limit', 'type Size = number\nconst limit'), restart()],
    ['a flow whose function is another', () => inConfig('(value) => value)', '(value) => [value])'), restart('clicks')],
    ['a flow whose option is another', () => inConfig("topic: 'clicks'", "topic: 'clicks2'"), restart('clicks')],
    ['a flow whose function refers to what is another', () => inConfig('limit = 5', 'limit = 6'), restart('orders')],
    ['a flow whose function refers to another one', () => inConfig('size > limit', 'size >= limit'), restart('orders')],
    [
      'a flow whose module is another',
      () => ({ 'visits.ts': edited('least > 0', 'least > 1', visits) }),
      restart('visits'),
    ],
    ['a flow whose module imports another', () => ({ 'least.ts': 'export const least = 2' }), restart('visits')],
    ['a flow with a setting of another value', () => base, restart('orders'), { TOPIC: 'orders2' }],
    ['the flows of a connection with a setting of another value', () => base, restart('clicks'), { OTHER: 'd:9092' }],
    ['the flows of a connection', () => inConfig("'b:9092'", "'b:9093'"), restart('orders', 'visits')],
    ['all flows, of a statement for its effect', () => inConfig('const limit', 'void 0\nconst limit'), restart(...all)],
    [
      'all flows, of a variable that nothing mentions',
      () => inConfig('const limit', 'const x = 1\nconst limit'),
      restart(...all),
    ],
    [
      'all flows, of an import for its effect',
      () => ({ ...inConfig('const limit', "import './least.js'\nconst limit") }),
      restart(...all),
    ],
    ['all flows, where they are not written out', () => inConfig('    visits,', '    ...{ visits },'), restart(...all)],
    [
      'a flow that was taken away, and one that came',
      () =>
        inConfig(
          '    visits,',
          "    views: flow(kafka.source({ topic: 'views', connection: 'kafka' }), consoleSink()),",
        ),
      { goOn: ['orders', 'clicks'], restart: [], begin: ['views'], end: ['visits'] },
    ],
    ['all flows, of another app', () => inConfig("app: 'shop'", "app: 'shop2'"), restart(...all)],
  ])('is %s', async (_, next, expected, environment = {}) => {
    write(base)
    const before = await signatures()
    write(next())
    const changes = flowChanges(before.flows, (await signatures(environment)).flows)
    expect(changes).toEqual(expected)
  })

  test('is a flow whose code may have read a file that is another', async () => {
    write({
      ...base,
      'least.ts':
        "import { readFileSync } from 'node:fs'\nexport const least = readFileSync(import.meta.dirname + '/n.txt').length",
      'n.txt': '1',
    })
    const before = await signatures()
    expect(flowChanges(before.flows, (await signatures()).flows)).toEqual(restart())
    write({ 'n.txt': '12' })
    expect(flowChanges(before.flows, (await signatures()).flows)).toEqual(restart('visits'))
  })

  test('can not be told of a module that Node itself has loaded: it is stale', async () => {
    const files = {
      ...base,
      'package.json': '{ "type": "module" }',
      'visits.ts': visits.replace('least.js', 'fewest.js'),
      'fewest.js': 'export const least = 1',
    }
    const stale = async () => {
      const modules = { weirflow: await import('../../src/index.js') }
      return (await loadConfig({ cwd: directory, environment: {}, modules })).code.stale
    }
    write(files)
    expect(await stale()).toEqual([])
    write({ 'fewest.js': 'export const least = 20' })
    expect(await stale()).toEqual([join(directory, 'fewest.js')])
    write(files)
    expect(await stale()).toEqual([])
  })

  test('is a flow that was written as it was loaded: nobody knows which of the two runs', async () => {
    write(base)
    const before = await signatures()
    const late = Date.now() / 1_000 + 60
    utimesSync(join(directory, 'least.ts'), late, late)
    expect(flowChanges(before.flows, (await signatures()).flows)).toEqual(restart('visits'))
  })
})
