/** Compiles src to dist, only the files that changed: one by one and without checking types, so that it is quick. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { root } from './process.mjs'

const source = join(root, 'src')
const output = join(root, 'dist')
const settingsFile = join(root, 'tsconfig.build.json')

/**
 * Afterwards dist has the JavaScript of every file in src, and of no other; made anew where another compiler may have made
 * it. Each file is there all the time, for whoever runs from dist.
 */
export async function compile({ anew = false } = {}) {
  const settingsChanged = modifiedAt(settingsFile)
  const files = filesIn(source, '.ts')
  const stale = files.filter((file) => {
    return (
      anew ||
      modifiedAt(join(output, `${file}.js`)) <= Math.max(modifiedAt(join(source, `${file}.ts`)), settingsChanged)
    )
  })
  for (const file of orphans(files)) rmSync(join(output, `${file}.js`), { force: true })
  if (stale.length === 0) return
  const { default: ts } = await import('typescript')
  const { compilerOptions } = ts.readConfigFile(settingsFile, ts.sys.readFile).config
  const { options } = ts.convertCompilerOptionsFromJson({ ...baseOptions(ts), ...compilerOptions }, root)
  for (const file of stale) compileFile(ts, file, options)
}

function baseOptions(ts) {
  return ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config.compilerOptions
}

function compileFile(ts, file, options) {
  const fileName = join(source, `${file}.ts`)
  const { outputText, sourceMapText } = ts.transpileModule(readFileSync(fileName, 'utf8'), {
    fileName,
    // What NodeNext means in a package of type "module"; transpileModule does not look for the package.
    compilerOptions: { ...options, module: ts.ModuleKind.ESNext, declaration: false, declarationMap: false },
  })
  const target = join(output, `${file}.js`)
  const map = JSON.parse(sourceMapText)
  map.sources = [join('../'.repeat(file.split('/').length), 'src', `${file}.ts`)]
  mkdirSync(dirname(target), { recursive: true })
  replaceFile(`${target}.map`, JSON.stringify(map))
  replaceFile(target, outputText)
}

/** Whole or not at all: several processes may compile the same file at once. */
function replaceFile(path, text) {
  const partial = join(dirname(path), `.${basename(path)}.${process.pid}`)
  writeFileSync(partial, text)
  renameSync(partial, path)
}

function orphans(files) {
  const known = new Set(files)
  return filesIn(output, '.js').filter((file) => !known.has(file))
}

/** The files of that ending below a folder, by their path without it. */
function filesIn(folder, ending) {
  const wanted = (name) => name.endsWith(ending) && !name.endsWith('.d.ts') && !basename(name).startsWith('.')
  try {
    return readdirSync(folder, { recursive: true })
      .filter(wanted)
      .map((name) => name.slice(0, -ending.length).replaceAll('\\', '/'))
  } catch {
    return []
  }
}

function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
