import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const names = Array.from({ length: 40 }, (_, index) => `part${index}`)

/** A clone with sources of its own, and what is installed here. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-setup-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const name of ['scripts', 'package.json', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(join(root, name), join(folder, name), { recursive: true })
  const modules = join(folder, 'node_modules')
  // There is nothing to install, whatever is locked.
  cpSync(join(root, 'node_modules', '.package-lock.json'), join(folder, 'package-lock.json'))
  for (const made of [modules, join(folder, 'src', 'parts')]) mkdirSync(made, { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules')))
    if (!name.startsWith('.weir')) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  for (const name of names)
    writeFileSync(join(folder, 'src', 'parts', `${name}.ts`), `export const made: string = '${name}'\n`)
  return folder
}

test('several that set a clone up at once leave it ready, whatever was compiled before', {
  timeout: 120_000,
}, async () => {
  const folder = clone()
  const setUp = () => promisify(execFile)(process.execPath, [join(folder, 'scripts', 'setup.mjs')])
  await setUp()
  writeFileSync(join(folder, 'node_modules', '.weir-setup'), 'another Node')
  writeFileSync(join(folder, 'dist', 'parts', 'part0.js'), 'of another compiler')
  const told = await Promise.all([1, 2, 3].map(setUp))
  // The others have waited for the one that did it.
  expect(told.map(({ stderr }) => stderr.includes('ready in')).filter(Boolean)).toEqual([true])
  const parts = join(folder, 'dist', 'parts')
  expect(
    readdirSync(parts)
      .filter((name) => name.endsWith('.js'))
      .sort(),
  ).toEqual(names.map((name) => `${name}.js`).sort())
  expect(readFileSync(join(parts, 'part0.js'), 'utf8')).toContain("made = 'part0'")
  expect(readdirSync(join(folder, 'node_modules')).filter((name) => name.startsWith('.weir'))).toEqual(['.weir-setup'])
})
