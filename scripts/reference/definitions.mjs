/** Finds the definitions of stages and connections among what the compiled sources export. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../process.mjs'

/** Folders of src, each with the test that tells its definitions from its other exports. */
const folders = {
  sources: (value) => value.kind === 'source',
  operators: (value) => value.kind === 'operator',
  sinks: (value) => value.kind === 'sink',
  connectors: (value) => typeof value.definition?.open === 'function',
}

/** `{ folder, file, definition }` for each file directly below a folder of stages, in alphabetical order. */
export async function definitionsIn(folder) {
  const files = readdirSync(join(root, 'src', folder)).filter((name) => name.endsWith('.ts') && name !== 'index.ts')
  const found = await Promise.all(files.sort().map((name) => definitionsOf(folder, name.slice(0, -3))))
  return found.flat()
}

async function definitionsOf(folder, file) {
  const exported = await import(pathToFileURL(join(root, 'dist', folder, `${file}.js`)).href)
  const isObject = (value) => (typeof value === 'object' || typeof value === 'function') && value !== null
  return Object.values(exported)
    .filter((value) => isObject(value) && folders[folder](value))
    .map((value) => ({ folder, file, definition: value.definition ?? value }))
}
