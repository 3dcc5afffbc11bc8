/**
 * Writes docs/reference from the definitions of the stages and the table of errors, and fails when that changed a
 * page, so that a check can't pass with pages that were out of date. Run it again to see it pass.
 *
 *   reference/definitions.mjs   finds the definitions in the compiled sources
 *   reference/options.mjs       options of a zod schema as table rows
 *   reference/signatures.mjs    signatures and doc comments of factories
 *   reference/pages.mjs         the Markdown
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile } from './compile.mjs'
import { root } from './process.mjs'
import { allPages } from './reference/pages.mjs'

const folder = join(root, 'docs/reference')

await compile()
const pages = await allPages()
const present = pagesIn(folder)
const changed = [...pages].filter(([path, text]) => present.get(path) !== text)
const obsolete = [...present.keys()].filter((path) => !pages.has(path))
for (const [path, text] of changed) write(join(folder, path), text)
for (const path of obsolete) rmSync(join(folder, path))
for (const path of [...changed.map(([path]) => path), ...obsolete])
  console.error(`docs/reference/${path} was out of date`)
process.exitCode = changed.length + obsolete.length === 0 ? 0 : 1

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function pagesIn(directory) {
  mkdirSync(directory, { recursive: true })
  const names = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith('.md'))
  return new Map(names.map((name) => [name.replaceAll('\\', '/'), readFileSync(join(directory, name), 'utf8')]))
}
