import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Definition {
  readonly name?: string
  readonly kind: string
  readonly summary: string
  readonly options: z.ZodType
}

const stages = ['sources', 'operators', 'sinks'].flatMap((folder) => {
  return filesIn(`src/${folder}`)
    .filter(definesStage)
    .map((path) => ({ folder, file: nameOf(path), path }))
})

describe.each(stages)('$folder/$file', ({ folder, file, path }) => {
  test('can be imported from weirflow, itself or through its connector', () => {
    const importers = [
      'src/index.ts',
      ...filesIn('src/connectors').filter((connector) => isImportedBy('src/index.ts', connector)),
    ]
    expect(importers.some((importer) => isImportedBy(importer, path))).toBe(true)
  })

  test('has a page in the reference', () => {
    expect(filesIn(`docs/reference/${folder}`)).toContain(`docs/reference/${folder}/${file}.md`)
  })

  test('has a test of its name', () => {
    const names = filesIn('test', { recursive: true }).map(nameOf)
    const wanted = folder === 'operators' ? [`${file}.test`] : [`${file}.test`, `${file}-${folder.slice(0, -1)}.test`]
    expect(names).toEqual(expect.arrayContaining([expect.toBeOneOf(wanted)]))
  })

  test('describes each of its options', async () => {
    const definitions = await definitionsOf(path)
    expect(definitions).not.toHaveLength(0)
    for (const { name, summary, options } of definitions) {
      expect(summary, name).toMatch(/^[A-Z].*\.$/)
      expect(undescribed(options), name).toEqual([])
    }
  })
})

test('every operator has its marble test', () => {
  const operators = stages
    .filter(({ folder }) => folder === 'operators')
    .map(({ file }) => `test/marbles/${file}.test.ts`)
  expect(operators.length).toBeGreaterThan(0)
  expect(filesIn('test/marbles')).toEqual(expect.arrayContaining(operators))
})

function filesIn(folder: string, options: { recursive?: boolean } = {}): string[] {
  return readdirSync(join(root, folder), { recursive: options.recursive === true, encoding: 'utf8' })
    .filter((name) => /\.(ts|md)$/.test(name))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('.'))
}

function definesStage(path: string): boolean {
  return /define(Source|Operator|Sink)\b/.test(readFileSync(join(root, path), 'utf8'))
}

function isImportedBy(importer: string, path: string): boolean {
  const target = path.replace(/^src\//, '').replace(/\.ts$/, '.js')
  return readFileSync(join(root, importer), 'utf8').includes(`/${target}'`)
}

async function definitionsOf(path: string): Promise<Definition[]> {
  const exported = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>
  return Object.values(exported).filter(isDefinition)
}

function isDefinition(value: unknown): value is Definition {
  return typeof value === 'object' && value !== null && 'options' in value && 'build' in value
}

function undescribed(options: z.ZodType): string[] {
  const { properties = {} } = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' })
  return Object.entries(properties).flatMap(([name, field]) => {
    return typeof field === 'object' && field.description !== undefined ? [] : [name]
  })
}
