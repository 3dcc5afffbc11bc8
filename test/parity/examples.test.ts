import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.js'
import { compile } from '../../src/engine/index.js'
import * as weirflow from '../../src/index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The TypeScript in README.md and in docs, each block a module as if it stood at the root of a project. The generated
 * pages show signatures, which are no modules; those are compiled where they come from.
 */
const pages = ['README.md', ...markdownIn('docs').filter((path) => !/^docs\/(reference|api)\//.test(path))]
const examples = pages.flatMap((page) => {
  const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)
  return [...blocks].map(([, code = ''], index) => ({ name: `${page.replaceAll('/', '-')}.${index + 1}`, code }))
})

const folder = mkdtempSync(join(tmpdir(), 'weir-examples-'))
for (const name of ['src', 'node_modules', 'package.json']) symlinkSync(join(root, name), join(folder, name))
for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code)
afterAll(() => rmSync(folder, { recursive: true }))

test('README and design have examples', () => {
  expect(examples.map(({ name }) => name)).toEqual(expect.arrayContaining(['README.md.1', 'docs-design.md.1']))
})

test('every example compiles', () => {
  const files = new Map(examples.map(({ name, code }) => [join(root, `${name}.ts`), code]))
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object }
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists } = host
  host.readFile = (path) => files.get(path) ?? readFile(path)
  host.fileExists = (path) => files.has(path) || fileExists(path)
  const program = ts.createProgram([...files.keys()], options, host)
  expect([...files.keys()].flatMap((path) => faultsIn(program, path))).toEqual([])
})

test.each(examples.filter(({ code }) => code.includes('defineConfig(')))(
  'the configuration of $name holds',
  async ({ name }) => {
    const environment = { KAFKA_BROKERS: 'localhost:9092', DATABASE_URL: 'postgres://localhost/examples' }
    const options = { cwd: folder, file: `${name}.ts`, environment, modules: { weirflow } }
    const { config } = await loadConfig(options)
    const { flows } = compile(config, { environment })
    expect(flows.map((flow) => flow.name)).toEqual(Object.keys(config.flows))
  },
)

// A test in an example becomes a test of this file.
for (const { name, code } of examples) {
  if (code.includes("from 'vitest'")) describe(name, async () => void (await import(join(folder, `${name}.ts`))))
}

function faultsIn(program: ts.Program, path: string): string[] {
  const file = program.getSourceFile(path)
  const diagnostics = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  return diagnostics.map(
    ({ messageText }) => `${path.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  )
}

function markdownIn(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${directory}/${name.replaceAll('\\', '/')}`)
}
