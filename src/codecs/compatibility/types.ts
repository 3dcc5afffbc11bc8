import type { SchemaNode } from '../json-schema/document.js'

/** The types of JSON; a number is one of two, for each integer is a number. */
export const types = ['null', 'boolean', 'integer', 'fraction', 'string', 'array', 'object'] as const
export type JsonType = (typeof types)[number]

export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction'
  return typeof value as 'boolean' | 'string' | 'object'
}

/** The types that a schema by itself allows. */
export function typesOf(node: SchemaNode): ReadonlySet<JsonType> {
  if (node.schema === false) return new Set()
  const said = node.document.keyword(node, 'type')
  if (said === undefined) return new Set(types)
  const names = [said].flat() as string[]
  if (node.document.keyword(node, 'nullable') === true) names.push('null')
  return new Set(names.flatMap((name) => (name === 'number' ? ['integer', 'fraction'] : [name])) as JsonType[])
}
