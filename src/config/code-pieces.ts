import { extname } from 'node:path'
import { createJiti } from 'jiti'

/** A flow or a connection of a configuration, with the code that makes it what it is. */
export interface Piece {
  readonly field: 'flows' | 'connections'
  readonly name: string
  /** Its own text, and those of all that it refers to in its file. */
  readonly texts: readonly string[]
}

/** A node of the tree that the loader's parser makes; the fields that are read here. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** A part of the file that is the same or not, as a whole. */
interface Part {
  readonly text: string
  /** What can be referred to. */
  readonly declares: readonly string[]
  readonly isImport: boolean
}

const words = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/gu

/**
 * Takes a configuration apart: `export default defineConfig({ flows: { … } })` with a list of named flows and connections.
 * A piece has all statements of the file whose names its text mentions, whatever it means by them, and so on; and those
 * that are there for what they do, or that nothing mentions. Undefined where the file is written otherwise.
 */
export function piecesOf(text: string, file: string): readonly Piece[] | undefined {
  const body = parse(text, file)
  const exported = body.find(({ type }) => type === 'ExportDefaultDeclaration')
  const fields = exported && objectIn(exported['declaration'] as Node, body)
  if (exported === undefined || fields === undefined) return undefined
  const parts = body.filter((node) => node !== exported).flatMap((node) => partOf(node, text))
  const named = fields.flatMap(({ name, value }) => {
    if (name !== 'flows' && name !== 'connections') return []
    const own = propertiesOf(value)
    return own === undefined ? [] : [{ field: name, value, own } as const]
  })
  const rest = named.reduce((left, { value }) => left.replace(sliceOf(value, text), ''), sliceOf(exported, text))
  const declared = named.flatMap(({ field, own }) => own.map(({ name, node }) => ({ field, name, node })))
  const mentioned = new Set(
    [rest, ...declared.map(({ node }) => sliceOf(node, text))].flatMap((one) => [...reached([one], parts)]),
  )
  // What is there for its effect may concern each of them.
  const isCommon = (part: Part) =>
    part.declares.length === 0 || (!mentioned.has(part) && !(isTyped(file) && part.isImport))
  const common = parts.filter(isCommon)
  return declared.map(({ field, name, node }) => {
    const own = sliceOf(node, text)
    const all = reached([own, ...common.map((part) => part.text)], parts, new Set(common))
    return { field, name, texts: [own, ...parts.filter((part) => all.has(part)).map((part) => part.text)] }
  })
}

/** Of what is typed, an import that nothing mentions is taken for one of a type, and left out. */
function isTyped(file: string): boolean {
  return /ts$/.test(extname(file))
}

/** The parts whose names these texts mention, and those that they mention in turn. */
function reached(texts: readonly string[], parts: readonly Part[], found = new Set<Part>()): Set<Part> {
  for (const text of texts) {
    const mentioned = new Set(text.match(words))
    for (const part of parts) {
      if (found.has(part) || !part.declares.some((name) => mentioned.has(name))) continue
      found.add(part)
      reached([part.text], parts, found)
    }
  }
  return found
}

function partOf(node: Node, text: string): Part[] {
  if (node['importKind'] === 'type' || /^TS(Interface|TypeAlias)Declaration$/.test(node.type)) return []
  return [{ text: sliceOf(node, text), declares: declaredBy(node, text), isImport: node.type === 'ImportDeclaration' }]
}

function declaredBy(node: Node, text: string): readonly string[] {
  const nodes = (field: string) => (node[field] ?? []) as readonly Node[]
  switch (node.type) {
    case 'ImportDeclaration':
      return nodes('specifiers').map(({ local }) => String((local as Node)['name']))
    case 'VariableDeclaration':
      // A pattern declares some of its words.
      return nodes('declarations').flatMap(({ id }) => sliceOf(id as Node, text).match(words) ?? [])
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return [String((node['id'] as Node)['name'])]
    case 'ExportNamedDeclaration':
      return node['declaration'] == null ? [] : declaredBy(node['declaration'] as Node, text)
    default:
      return []
  }
}

/** The fields of the object that is exported, as it is or through `defineConfig`. */
function objectIn(node: Node, body: readonly Node[]): readonly Property[] | undefined {
  if (/^TS(Satisfies|As)Expression$/.test(node.type)) return objectIn(node['expression'] as Node, body)
  if (node.type !== 'CallExpression') return propertiesOf(node)
  const [argument, ...others] = node['arguments'] as readonly Node[]
  const { type, name } = node['callee'] as Node
  const isOurs = body.some(
    ({ source, specifiers }) =>
      (source as Node | null | undefined)?.['value'] === 'weirflow' &&
      (specifiers as readonly Node[]).some(
        ({ local, imported }) =>
          (local as Node)['name'] === name && (imported as Node | undefined)?.['name'] === 'defineConfig',
      ),
  )
  return type === 'Identifier' && isOurs && argument !== undefined && others.length === 0
    ? objectIn(argument, body)
    : undefined
}

interface Property {
  readonly name: string
  readonly node: Node
  readonly value: Node
}

/** The properties of an object that is written out, undefined where it isn't all of it. */
function propertiesOf(node: Node): readonly Property[] | undefined {
  if (node.type !== 'ObjectExpression') return undefined
  const properties = (node['properties'] as readonly Node[]).map((property): Property | undefined => {
    if (property.type !== 'ObjectProperty' || property['computed'] === true) return undefined
    const key = property['key'] as Node
    return { name: String(key['name'] ?? key['value']), node: property, value: property['value'] as Node }
  })
  return properties.every((one) => one !== undefined) ? properties : undefined
}

function sliceOf({ start, end }: Pick<Node, 'start' | 'end'>, text: string): string {
  return text.slice(start, end)
}

/** The loader's own parser, so that what it takes is taken here. */
function parse(source: string, filename: string): readonly Node[] {
  let body: readonly Node[] = []
  const plugin = () => ({
    visitor: {},
    pre: (file: { readonly ast: { readonly program: { readonly body: readonly Node[] } } }) => {
      // What it does to the tree afterwards is its own.
      body = structuredClone(file.ast.program.body)
    },
  })
  // What is cached is not parsed.
  createJiti(filename, { fsCache: false }).transform({
    source,
    filename,
    ts: isTyped(filename),
    babel: { plugins: [plugin] },
  })
  return body
}
