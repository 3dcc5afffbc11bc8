import type { SchemaNode } from '../json-schema/document.js'
import { below, inPlace, objectOf } from '../json-schema/walk.js'

/** What one schema says of a property. */
export function propertyNodes(node: SchemaNode, name: string): SchemaNode[] {
  const { document } = node
  const properties = objectOf(document.keyword(node, 'properties'))
  const patterns = objectOf(document.keyword(node, 'patternProperties'))
  const found = Object.hasOwn(properties, name) ? [below(node, properties[name], 'properties', name)] : []
  for (const [pattern, schema] of Object.entries(patterns))
    if (matches(pattern, name)) found.push(below(node, schema, 'patternProperties', pattern))
  if (found.length > 0) return [...found, ...unevaluated(node, name)]
  const rest = document.keyword(node, 'additionalProperties')
  if (rest !== undefined) return [below(node, rest, 'additionalProperties')]
  return unevaluated(node, name)
}

/** What one schema says of properties that are named nowhere. */
export function otherNodes(node: SchemaNode, pattern: string | undefined): SchemaNode[] {
  const { document } = node
  const patterns = objectOf(document.keyword(node, 'patternProperties'))
  if (pattern !== undefined) {
    if (Object.hasOwn(patterns, pattern)) return [below(node, patterns[pattern], 'patternProperties', pattern)]
    if (Object.keys(patterns).length > 0) return []
  }
  const rest = document.keyword(node, 'additionalProperties')
  if (rest !== undefined) return [below(node, rest, 'additionalProperties')]
  return unevaluated(node, pattern === undefined ? undefined : { pattern })
}

/** What `unevaluatedProperties` says of a property: only what is surely not evaluated by another keyword. */
function unevaluated(node: SchemaNode, name: string | { readonly pattern: string } | undefined): SchemaNode[] {
  const schema = node.document.keyword(node, 'unevaluatedProperties')
  if (schema === undefined) return []
  const evaluated = evaluatedBy(node, true)
  if (evaluated.all) return []
  if (typeof name === 'string' && (evaluated.names.has(name) || evaluated.patterns.some((one) => matches(one, name))))
    return []
  if (typeof name === 'object' && evaluated.patterns.length > 0) return []
  return [below(node, schema, 'unevaluatedProperties')]
}

export interface Evaluated {
  readonly names: ReadonlySet<string>
  readonly patterns: readonly string[]
  /** Whether it evaluates whatever there is. */
  readonly all: boolean
}

/** Which properties other keywords evaluate beside `unevaluatedProperties`: surely, or `perhaps`. */
export function evaluatedBy(node: SchemaNode, perhaps: boolean): Evaluated {
  const nodes = perhaps ? withBranches(node) : inPlace([node])
  const of = (keyword: string) => nodes.flatMap((one) => Object.keys(objectOf(one.document.keyword(one, keyword))))
  return {
    names: new Set(of('properties')),
    patterns: of('patternProperties'),
    all: nodes.some((one) =>
      ['additionalProperties', ...(one === node ? [] : ['unevaluatedProperties'])].some(
        (keyword) => one.document.keyword(one, keyword) !== undefined,
      ),
    ),
  }
}

/** All schemas that may hold of the same value. */
function withBranches(node: SchemaNode): readonly SchemaNode[] {
  let nodes = inPlace([node])
  for (let count = 0; count !== nodes.length; ) {
    count = nodes.length
    nodes = inPlace([...nodes, ...nodes.flatMap(branchesOf)])
  }
  return nodes
}

function branchesOf(node: SchemaNode): SchemaNode[] {
  const { document } = node
  const lists = ['anyOf', 'oneOf'].flatMap((name) => {
    const list = document.keyword(node, name)
    return Array.isArray(list) ? list.map((schema, index) => below(node, schema, name, index)) : []
  })
  const single = ['if', 'then', 'else', 'not'].flatMap((name) => {
    const schema = document.keyword(node, name)
    return schema === undefined ? [] : [below(node, schema, name)]
  })
  const dependent = ['dependentSchemas', 'dependencies'].flatMap((name) =>
    Object.entries(objectOf(document.keyword(node, name)))
      .filter(([, schema]) => !Array.isArray(schema))
      .map(([property, schema]) => below(node, schema, name, property)),
  )
  return [...lists, ...single, ...dependent]
}

export function matches(pattern: string, name: string): boolean {
  return new RegExp(pattern, 'u').test(name)
}
