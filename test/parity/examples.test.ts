import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The TypeScript in README.md and in docs, each block a module of its own. The generated pages show signatures, which
 * are no modules; what they show is compiled where it comes from.
 */
const pages = ['README.md', ...docs('docs').filter((path) => !/^docs\/(reference|api)\//.test(path))]
const examples = pages.flatMap((page) => {
  const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)
  return [...blocks].map(([, code = ''], index) => ({ page, index: index + 1, code }))
})

test('the README has examples', () => {
  expect(examples.some(({ page }) => page === 'README.md')).toBe(true)
})

test('every example compiles', () => {
  const files = new Map(examples.map(({ page, index, code }) => [join(root, `${page}.${index}.ts`), code]))
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object }
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists } = host
  host.readFile = (path) => files.get(path) ?? readFile(path)
  host.fileExists = (path) => files.has(path) || fileExists(path)
  const program = ts.createProgram([...files.keys()], options, host)
  const faults = [...files.keys()].flatMap((path) => faultsIn(program, path))
  expect(faults).toEqual([])
})

function faultsIn(program: ts.Program, path: string): string[] {
  const file = program.getSourceFile(path)
  const diagnostics = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  return diagnostics.map(
    ({ messageText }) => `${path.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  )
}

function docs(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
}
