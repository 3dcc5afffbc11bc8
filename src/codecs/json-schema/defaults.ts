import { isPlainObject } from '../../model/plain-object.js'
import type { SchemaNode } from './document.js'
import { below, inPlace, itemNodes, objectOf, prefixOf } from './walk.js'

/**
 * A value with what it lacks: a property that is required and has a default gets that. What stands in `anyOf`, `oneOf`,
 * `if` and `not` fills nothing in. Gives the same value where nothing was lacking.
 */
export function withDefaults(node: SchemaNode, value: unknown): unknown {
  return filled([node], value)
}

/** Whether `withDefaults` ever gives another value than it was given. */
export function hasDefaults(node: SchemaNode): boolean {
  const met = new Set<string>()
  const ids = new Map<unknown, number>()
  const idOf = (schema: unknown) => ids.get(schema) ?? ids.set(schema, ids.size + 1).size
  const fill = (nodes: readonly SchemaNode[]): boolean => {
    const schemas = inPlace(nodes)
    // The same schemas together say the same: those that refer to themselves end here.
    const together = schemas.map(({ schema }) => idOf(schema)).join()
    if (schemas.length === 0 || met.has(together)) return false
    met.add(together)
    const lengths = schemas.map((schema) => prefixOf(schema).length)
    const items = Array.from({ length: Math.max(...lengths) + 1 }, (_, index) => index)
    return (
      schemas.some((one) => requiredOf(one).some((name) => defaultOf(schemas, name) !== undefined)) ||
      namesOf(schemas).some((name) => fill(schemas.flatMap((one) => propertyNode(one, name)))) ||
      items.some((index) => fill(schemas.flatMap((one) => itemNodes(one, index))))
    )
  }
  return fill([node])
}

/** The default of a property, by schemas that hold of the same object. */
export function defaultOf(nodes: readonly SchemaNode[], name: string): unknown {
  for (const node of nodes) {
    const properties = objectOf(node.document.keyword(node, 'properties'))
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (isPlainObject(schema) && schema['default'] !== undefined) return schema['default']
  }
  return undefined
}

function filled(nodes: readonly SchemaNode[], value: unknown): unknown {
  const schemas = inPlace(nodes)
  if (schemas.length === 0) return value
  if (Array.isArray(value)) return filledItems(schemas, value)
  return isPlainObject(value) ? filledProperties(schemas, value) : value
}

function filledProperties(schemas: readonly SchemaNode[], value: Record<string, unknown>): Record<string, unknown> {
  const more: Record<string, unknown> = {}
  for (const node of schemas) {
    for (const name of requiredOf(node)) {
      if (Object.hasOwn(value, name)) continue
      const missing = defaultOf(schemas, name)
      if (missing !== undefined) more[name] = structuredClone(missing)
    }
  }
  for (const [name, old] of Object.entries(value)) {
    if (typeof old !== 'object' || old === null) continue
    const parts = schemas.flatMap((node) => propertyNode(node, name))
    const made = filled(parts, old)
    if (made !== old) more[name] = made
  }
  return Object.keys(more).length === 0 ? value : { ...value, ...more }
}

function filledItems(schemas: readonly SchemaNode[], value: readonly unknown[]): readonly unknown[] {
  const made = value.map((item, index) =>
    filled(
      schemas.flatMap((node) => itemNodes(node, index)),
      item,
    ),
  )
  return made.every((item, index) => item === value[index]) ? value : made
}

function requiredOf(node: SchemaNode): readonly string[] {
  return (node.document.keyword(node, 'required') ?? []) as readonly string[]
}

function namesOf(nodes: readonly SchemaNode[]): string[] {
  return [...new Set(nodes.flatMap((node) => Object.keys(objectOf(node.document.keyword(node, 'properties')))))]
}

function propertyNode(node: SchemaNode, name: string): SchemaNode[] {
  const properties = objectOf(node.document.keyword(node, 'properties'))
  return Object.hasOwn(properties, name) ? [below(node, properties[name], 'properties', name)] : []
}
