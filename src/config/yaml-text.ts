import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'
import type { Alias, Document, LineCounter, Node, Scalar, YAMLParseError } from 'yaml'
import type { ConfigFault } from '../engine/config-error.js'
import { type Environment, messageOf, type SourcePlace } from '../model/index.js'
import { type Interpolated, interpolate } from './interpolate.js'

const require = createRequire(import.meta.url)
let loaded: typeof Yaml | undefined
/** Loaded once there is a file: it takes longer than all else that reads settings. */
const yaml = () => (loaded ??= require('yaml') as typeof Yaml)

export type YamlPath = readonly PropertyKey[]

/** What a value without quotes may be. */
interface Readings {
  readonly text: string
  readonly typed: unknown
}

/** The text of a YAML file: what it holds, with variables put in, and where. */
export class YamlText {
  /** What is wrong with it as YAML, or with its variables. */
  readonly faults: ConfigFault[] = []
  /** Whether it can't be read as YAML, so that nothing else can be said about it. */
  readonly isBroken: boolean
  private readonly lines: LineCounter = new (yaml().LineCounter)()
  private readonly document: Document.Parsed
  private readonly readings = new Map<Scalar, Readings>()
  private readonly substituted = new Map<Scalar, readonly string[]>()
  /** Values for which variables are not set: faults of those who read them. */
  private readonly unset = new Map<Scalar, readonly ConfigFault[]>()

  constructor(
    private readonly file: string,
    private readonly shown: string,
    private readonly text: string,
    private readonly environment: Environment,
  ) {
    this.document = yaml().parseDocument(text, {
      lineCounter: this.lines,
      prettyErrors: false,
      stringKeys: true,
      merge: true,
    })
    const { errors, warnings } = this.document
    this.tellSyntax([...errors, ...warnings])
    yaml().visit(this.document, {
      Scalar: (key, node) => (key === 'key' ? undefined : this.read(node)),
      Alias: (_, node) => this.checkAlias(node),
    })
    this.isBroken = errors.some(({ code }) => code !== 'DUPLICATE_KEY') || !this.isFinite()
  }

  /** What it holds, in plain objects. Keys without a value, or an empty one, are left out: variables are not set then either. */
  value(): unknown {
    return withoutNothing(this.document.toJS() ?? {})
  }

  /** Takes the other reading of a value without quotes, or of those in a list. Returns whether there is one. */
  reread(path: YamlPath): boolean {
    return this.turn(path, ({ value }, { text, typed }) => (value === text ? typed : text))
  }

  /** Takes it as it looks. */
  readTyped(path: YamlPath): boolean {
    return this.turn(path, (_, { typed }) => typed)
  }

  private turn(path: YamlPath, valueOf: (scalar: Scalar, readings: Readings) => unknown): boolean {
    let isTurned = false
    for (const scalar of this.scalarsAt(path)) {
      const readings = this.readings.get(scalar)
      const value = readings && valueOf(scalar, readings)
      isTurned ||= value !== undefined && value !== scalar.value
      if (value !== undefined) scalar.value = value
    }
    return isTurned
  }

  /** The faults of all variables that are not set in what stands there. */
  unsetIn(path: YamlPath): readonly ConfigFault[] {
    const found: ConfigFault[] = []
    const { node, isWhole } = this.nodeAt(path)
    if (isWhole && node !== undefined)
      yaml().visit(node, { Scalar: (_, scalar) => void found.push(...(this.unset.get(scalar) ?? [])) })
    return found
  }

  /** What stands there; undefined where nothing does. */
  valueAt(path: YamlPath): unknown {
    const { node, isWhole } = this.nodeAt(path)
    return isWhole && node !== undefined ? (node.toJS(this.document) ?? undefined) : undefined
  }

  /** Whether it is in quotes. */
  isQuoted(path: YamlPath): boolean {
    return this.scalarsAt(path).some(({ type }) => type?.startsWith('QUOTE'))
  }

  /** Whether there is anything of a path. */
  leadsTo([first]: YamlPath): boolean {
    return first === undefined || this.nodeAt([first]).isWhole
  }

  /** Where the value stands, or else what it would be in. */
  placeOf(path: YamlPath): SourcePlace {
    const { node, key, isWhole } = this.nodeAt(path)
    return this.placeAt((isWhole ? (node?.range?.[0] ?? key?.range?.[0]) : (key ?? node)?.range?.[0]) ?? 0)
  }

  /** Where the key stands. */
  placeOfKey(path: YamlPath): SourcePlace {
    const { node, key } = this.nodeAt(path)
    return this.placeAt((key ?? node)?.range?.[0] ?? 0)
  }

  fault(what: string, hint: string | undefined, place: SourcePlace): ConfigFault {
    return { message: `reading ${this.shown}: ${what}`, hint, place }
  }

  /** What must not be shown: what stands under a key that says so, and the text, or list of texts, at that path. */
  *secrets(path?: YamlPath): Generator<string> {
    const found: Scalar[] = []
    yaml().visit(this.document, {
      Pair: (_, { key, value }) => {
        if (yaml().isScalar(key) && isSecretKey(String(key.value))) found.push(...scalarsOf(value))
      },
    })
    if (path !== undefined) found.push(...this.scalarsAt(path))
    for (const scalar of found) yield* this.textsOf(scalar)
  }

  private *textsOf(scalar: Scalar): Generator<string> {
    const { value } = scalar
    if (typeof value === 'string' || typeof value === 'number') yield* String(value).split('\n')
    yield* this.substituted.get(scalar) ?? []
    // As it is written, in the lines that a fault shows.
    const [start, end] = scalar.range ?? [0, 0]
    const source = this.text.slice(start, end)
    if (!/^["']?\$\{\w+\}["']?$/.test(source))
      for (const line of source.split('\n')) yield line.trim().replace(/^["']|["']$/g, '')
  }

  private tellSyntax(errors: readonly Pick<YAMLParseError, 'code' | 'message' | 'pos'>[]): void {
    const told = new Set<number>()
    for (const { code, message, pos } of errors) {
      const place = this.placeAt(pos[0])
      // One mistake is several to the parser, and all that follows may be.
      if (told.has(place.line) || (told.size > 0 && code === 'UNEXPECTED_TOKEN')) continue
      told.add(place.line)
      this.faults.push(this.fault(lowerFirst(message), this.mendOf(code, place.line), place))
    }
  }

  private mendOf(code: YAMLParseError['code'], line: number): string {
    const text = this.text.split('\n')[line - 1] ?? ''
    if (/[[{,]\s*\$\{/.test(text)) return 'Put ${…} in quotes inside of [ ] and { }.'
    return mends[code] ?? 'Put text with special characters in quotes, and begin keys of one level in one column.'
  }

  /** Puts variables in. */
  private read(node: Scalar): undefined {
    const isPlain = node.type === yaml().Scalar.PLAIN
    if (typeof node.value !== 'string') {
      if (isPlain && node.value !== null && node.source)
        this.readings.set(node, { text: node.source, typed: node.value })
      return undefined
    }
    const { text, values, faults } = interpolate(node.value, this.environment)
    const told = faults.map((fault) => this.variableFault(node, fault))
    this.faults.push(...told.filter((_, index) => faults[index]?.isWrong))
    if (faults.length > 0)
      this.unset.set(
        node,
        told.filter((_, index) => !faults[index]?.isWrong),
      )
    if (text === node.value) return undefined
    this.substituted.set(node, values)
    const typed = isPlain ? typedValue(text) : undefined
    if (typed !== undefined) this.readings.set(node, { text, typed })
    node.value = faults.length > 0 ? null : text
    return undefined
  }

  private variableFault({ range }: Scalar, { at, message, hint }: Interpolated['faults'][number]): ConfigFault {
    const [start, end] = range ?? [0, 0]
    const offset = this.text.slice(start, end).indexOf(at)
    return this.fault(message, hint, this.placeAt(start + Math.max(0, offset)))
  }

  private checkAlias(node: Alias): undefined {
    const target = node.resolve(this.document)
    const place = this.placeAt(node.range?.[0] ?? 0)
    if (target === undefined)
      this.faults.push(this.fault(`there is no anchor &${node.source}`, 'Write out what it stands for.', place))
    return undefined
  }

  /** Whether aliases lead to an end, and soon. */
  private isFinite(): boolean {
    try {
      withoutNothing(this.document.toJS())
      return true
    } catch (error) {
      if (this.faults.length === 0)
        this.faults.push(this.fault(messageOf(error), 'Write out what its aliases stand for.', this.placeAt(0)))
      return false
    }
  }

  private scalarsAt(path: YamlPath): Scalar[] {
    const { node, isWhole } = this.nodeAt(path)
    return isWhole ? scalarsOf(node) : []
  }

  /** As far as a path leads: the value, and the key before it. */
  private nodeAt(path: YamlPath): { node?: Node; key?: Node; isWhole: boolean } {
    let node = this.resolved(this.document.contents)
    let key: Node | undefined
    for (const step of path) {
      const pair = yaml().isMap(node)
        ? node.items.find((item) => yaml().isScalar(item.key) && String(item.key.value) === String(step))
        : undefined
      const next = yaml().isSeq(node) ? node.items[Number(step)] : pair?.value
      if (yaml().isPair(pair)) key = pair.key as Node
      if (pair === undefined && next === undefined)
        return { ...(node && { node }), ...(key && { key }), isWhole: false }
      node = this.resolved(next)
    }
    return { ...(node && { node }), ...(key && { key }), isWhole: true }
  }

  private resolved(node: unknown): Node | undefined {
    return (yaml().isAlias(node) ? node.resolve(this.document) : (node as Node | null)) ?? undefined
  }

  private placeAt(offset: number): SourcePlace {
    const { line, col } = this.lines.linePos(offset)
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) }
  }
}

const mends: Partial<Record<YAMLParseError['code'], string>> = {
  BAD_INDENT: 'Begin keys of one level in one column.',
  BAD_SCALAR_START: 'Put the value in quotes.',
  BLOCK_AS_IMPLICIT_KEY: 'Put the value in quotes, or what belongs to the key into lines of its own below it.',
  DUPLICATE_KEY: 'Keep one of them.',
  MISSING_CHAR: 'Close the quote or the bracket; a setting is written `key: value`, with a blank behind the colon.',
  MULTIPLE_DOCS: 'Keep one document: leave out the lines `---`.',
  TAB_AS_INDENT: 'Indent with blanks in place of tabs.',
  TAG_RESOLVE_FAILED: 'Leave the tag out.',
}

/** As these words end, in whichever spelling. */
const secretKey =
  /(password|passphrase|secret|token|credentials?|credentialsjson|connectionstring|(access|account|api|private|secret|shared)key)$/

export function isSecretKey(key: string): boolean {
  return secretKey.test(key.toLowerCase().replace(/[^a-z]/g, ''))
}

/** What YAML makes of text without quotes, where that is no text. */
function typedValue(text: string): number | boolean | undefined {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined
}

/** A value, or those of a list. */
function scalarsOf(node: unknown): Scalar[] {
  if (yaml().isSeq(node)) return node.items.filter((item) => yaml().isScalar(item))
  return yaml().isScalar(node) ? [node] : []
}

function withoutNothing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNothing)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null && item !== undefined && item !== '')
      .map(([key, item]) => [key, withoutNothing(item)]),
  )
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
