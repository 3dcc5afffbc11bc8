import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Jiti } from 'jiti'
import { type Piece, piecesOf } from './code-pieces.js'

/** What a part of a configuration is made by. */
export interface Made {
  /** The same for the same code: that of the part and of all that it refers to, in the modules that it imports too. */
  readonly digest: string
  /** Whether that code may have read files, of whatever kind, as it was loaded. */
  readonly readsFiles: boolean
}

/** The code of a configuration that was loaded. */
export interface ConfigCode {
  of(field: 'flows' | 'connections', name: string): Made
  /** Its modules, those of packages left out. */
  readonly files: readonly string[]
  /** Those that are not what was loaded: Node itself loads ES modules of JavaScript, and each once in a process. */
  readonly stale: readonly string[]
}

/** Of these it is known that they read nothing as they are loaded; no package is loaded twice in a process. */
const harmless = /^(weirflow|rxjs|zod)(\/|$)/
const reading = new Set(['fs', 'fs/promises', 'child_process', 'module'])

const specifiers = /\b(?:from|import|require)\s*\(?\s*(['"])((?:(?!\1).)+)\1/g
/** What is imported is known when it happens. */
const unforeseen = /\b(?:import|require)\s*\(\s*[^'"\s)]/

/** What Node itself may load; what the loader has loaded is in its cache. */
const byNode = /\.(m?js|json)$/
/** What Node itself has loaded, as it was then. */
const loadedOnce = new Map<string, string>()

interface Module {
  readonly text: string
  readonly imports: readonly string[]
  readonly readsFiles: boolean
  /** Whether it may import anything. */
  readonly isUnforeseen: boolean
}

/**
 * Reads the code of a configuration, as it was when it was loaded. What has been written since may be another: that is
 * never the same as anything.
 *
 * @param since When the loading began, ms.
 */
export function readCode(file: string, jiti: Jiti, since: number): ConfigCode {
  return new Code(file, jiti, since)
}

/** Remembers what was loaded of a configuration that could not be. */
export function rememberCode(file: string, jiti: Jiti, since: number): void {
  try {
    new Code(file, jiti, since)
  } catch {
    // A module that can't be read is what is told already.
  }
}

class Code implements ConfigCode {
  readonly stale: readonly string[]
  private readonly modules = new Map<string, Module>()
  private known: readonly Piece[] | undefined

  constructor(
    private readonly file: string,
    private readonly jiti: Jiti,
    private readonly since: number,
  ) {
    this.visit(file)
    this.stale = this.files.filter((one) => {
      if (!byNode.test(one) || jiti.cache[one] !== undefined) return false
      const { text } = this.module(one)
      const loaded = loadedOnce.get(one) ?? text
      loadedOnce.set(one, loaded)
      return loaded !== text
    })
  }

  get files(): readonly string[] {
    return [...this.modules.keys()]
  }

  of(field: 'flows' | 'connections', name: string): Made {
    this.known ??= piecesOf(this.module(this.file).text, this.file) ?? []
    const piece = this.known.find((one) => one.field === field && one.name === name)
    if (piece === undefined) return this.made([], this.files, false)
    const { imports, readsFiles, isUnforeseen } = this.imported(piece.texts.join('\n'), this.file)
    return this.made(piece.texts, isUnforeseen ? this.files : imports, readsFiles)
  }

  private made(texts: readonly string[], files: readonly string[], isReading: boolean): Made {
    const reached = new Set<string>()
    for (const file of files) this.reach(file, reached)
    const modules = [...reached].sort().map((file) => [file, this.module(file)] as const)
    const hash = createHash('sha256').update(JSON.stringify([texts, modules.map(([file, { text }]) => [file, text])]))
    return { digest: hash.digest('hex'), readsFiles: isReading || modules.some(([, { readsFiles }]) => readsFiles) }
  }

  private reach(file: string, reached: Set<string>): void {
    if (reached.has(file)) return
    reached.add(file)
    const { imports, isUnforeseen } = this.module(file)
    for (const next of isUnforeseen ? this.files : imports) this.reach(next, reached)
  }

  private visit(file: string): void {
    if (this.modules.has(file)) return
    const module = this.read(file)
    this.modules.set(file, module)
    for (const next of module.imports) this.visit(next)
  }

  private module(file: string): Module {
    return this.modules.get(file) ?? { text: '', imports: [], readsFiles: true, isUnforeseen: false }
  }

  private read(file: string): Module {
    const text = readFileSync(file, 'utf8')
    const isAsLoaded = statSync(file).mtimeMs < this.since
    return { text: isAsLoaded ? text : `${text}\n// ${Math.random()}`, ...this.imported(text, file) }
  }

  private imported(text: string, from: string): Omit<Module, 'text'> {
    const named = [...text.matchAll(specifiers)].map(([, , specifier = '']) => specifier)
    const isUnforeseen = unforeseen.test(text)
    return {
      imports: named.map((specifier) => this.resolve(specifier, from)).filter(isFile),
      readsFiles: isUnforeseen || named.some(mayRead),
      isUnforeseen,
    }
  }

  /** The module of the user that is meant; undefined where it is a package's or there is none. */
  private resolve(specifier: string, from: string): string | undefined {
    if (harmless.test(specifier) || isBuiltin(specifier)) return undefined
    const url = this.jiti.esmResolve(specifier, { parentURL: pathToFileURL(from), try: true })
    if (url?.startsWith('file:') !== true) return undefined
    const path = fileURLToPath(url)
    return path.includes(`${sep}node_modules${sep}`) ? undefined : path
  }
}

function isFile(path: string | undefined): path is string {
  return path !== undefined && statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier)
}

function mayRead(specifier: string): boolean {
  if (isBuiltin(specifier)) return reading.has(specifier.replace(/^node:/, ''))
  return !harmless.test(specifier) && !/^[./]/.test(specifier)
}
