import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { errorCodes } from '../../src/model/index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const codes = Object.keys(errorCodes)

/** The error codes that files name. Environment variables have other first words. */
function codesIn(folder: string, ending: string, except: readonly string[] = []): Set<string> {
  const areas = [...new Set(codes.map((code) => code.split('_')[1]))].join('|')
  const found = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !except.includes(name))
    .flatMap(
      (name) => readFileSync(join(root, folder, name), 'utf8').match(new RegExp(`WEIR_(${areas})_[A-Z_]+`, 'g')) ?? [],
    )
  return new Set(found)
}

test('every code of the table is raised somewhere', () => {
  const used = codesIn('src', '.ts', ['model/errors.ts'])
  expect(codes.filter((code) => !used.has(code))).toEqual([])
})

test('every code that the sources, tests and docs name is in the table', () => {
  const named = [...codesIn('src', '.ts'), ...codesIn('test', '.ts'), ...codesIn('docs', '.md')]
  expect(named.filter((code) => !codes.includes(code))).toEqual([])
})

test('every code is documented', () => {
  const page = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
})

test.each(Object.entries(errorCodes))('%s says what happened, in a sentence', (code, [, , meaning]) => {
  expect(code).toMatch(/^WEIR(_[A-Z]+){2,}$/)
  expect(meaning).toMatch(/^[A-Z].*\.$/)
})
