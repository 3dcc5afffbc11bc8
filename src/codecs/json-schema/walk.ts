import { isPlainObject } from '../../model/plain-object.js'
import type { SchemaNode } from './document.js'

/** The schemas that hold of the same value as these: themselves, and what they refer to or have in `allOf`. */
export function inPlace(nodes: readonly SchemaNode[]): readonly SchemaNode[] {
  const found = new Map<unknown, SchemaNode>()
  const met = new Set<unknown>()
  const add = (node: SchemaNode): void => {
    if (node.schema === true || met.has(node.schema)) return
    met.add(node.schema)
    if (!isMereRef(node)) found.set(node.schema, node)
    const target = node.document.target(node)
    if (target !== undefined) add(target)
    const all = node.document.keyword(node, 'allOf')
    if (Array.isArray(all)) for (const [index, schema] of all.entries()) add(below(node, schema, 'allOf', index))
  }
  for (const node of nodes) add(node)
  return [...found.values()]
}

/** What says nothing of which values hold. */
export const remarks: ReadonlySet<string> = new Set([
  ...['$schema', '$id', '$comment', '$defs', 'definitions', '$anchor', '$dynamicAnchor', 'title', 'description'],
  ...['default', 'examples', 'deprecated', 'readOnly', 'writeOnly', 'contentEncoding', 'contentMediaType'],
])

/** The schema that a `$ref` alone stands for. */
export function meant(node: SchemaNode): SchemaNode {
  let last = node
  for (let steps = 0; isMereRef(last) && steps < 100; steps++) last = last.document.target(last) ?? last
  return last
}

function isMereRef({ schema }: SchemaNode): boolean {
  if (typeof schema !== 'object' || typeof schema['$ref'] !== 'string') return false
  return Object.keys(schema).every((name) => name === '$ref' || remarks.has(name))
}

export function below(node: SchemaNode, schema: unknown, ...steps: readonly (string | number)[]): SchemaNode {
  return node.document.below(node, schema, ...steps)
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isPlainObject(value) ? value : {}
}

/** The schemas of the first items. */
export function prefixOf(node: SchemaNode): readonly unknown[] {
  const prefix = node.document.keyword(node, prefixKeyword(node))
  return Array.isArray(prefix) ? prefix : []
}

/** The schema of the items behind those, and by which keyword. */
export function restOf(node: SchemaNode): readonly [schema: unknown, keyword: string] {
  const items = node.document.keyword(node, 'items')
  if (items !== undefined && !Array.isArray(items)) return [items, 'items']
  return [Array.isArray(items) ? node.document.keyword(node, 'additionalItems') : undefined, 'additionalItems']
}

/** What one schema says of the item at an index. */
export function itemNodes(node: SchemaNode, index: number): SchemaNode[] {
  const prefix = prefixOf(node)
  if (index < prefix.length) return [below(node, prefix[index], prefixKeyword(node), index)]
  const [rest, keyword] = restOf(node)
  return rest === undefined ? [] : [below(node, rest, keyword)]
}

function prefixKeyword({ document }: SchemaNode): string {
  return document.dialect === 'draft-07' ? 'items' : 'prefixItems'
}
