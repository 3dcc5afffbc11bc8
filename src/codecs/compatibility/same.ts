import { isDeepStrictEqual } from 'node:util'
import type { SchemaNode } from '../json-schema/document.js'
import { below, meant, objectOf, remarks } from '../json-schema/walk.js'

const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems']
const maps = ['properties', 'patternProperties', 'dependentSchemas', 'dependencies']
const single = [
  ...['not', 'if', 'then', 'else', 'items', 'additionalItems', 'contains', 'propertyNames'],
  ...['additionalProperties', 'unevaluatedProperties', 'unevaluatedItems'],
]

type Pairs = ReadonlySet<string>

/** Whether two schemas say the same, word for word, wherever `$ref` leads. They may, and it isn't seen. */
export function isSame(first: SchemaNode, second: SchemaNode, met: Pairs = new Set()): boolean {
  const [one, other] = [meant(first), meant(second)]
  if (typeof one.schema === 'boolean' || typeof other.schema === 'boolean') return one.schema === other.schema
  const pair = `${one.at} ${other.at}`
  if (met.has(pair)) return true
  const next = new Set([...met, pair])
  const [target, otherTarget] = [one.document.target(one), other.document.target(other)]
  if ((target === undefined) !== (otherTarget === undefined)) return false
  if (target !== undefined && !isSame(target, otherTarget as SchemaNode, next)) return false
  const [names, otherNames] = [wordsOf(one), wordsOf(other)]
  return names.length === otherNames.length && names.every((name) => isSameWord(name, one, other, next))
}

/** Whether one of these schemas says the same by these keywords as that one, which has the first of them. */
export function saysSame(nodes: readonly SchemaNode[], node: SchemaNode, ...keywords: readonly string[]): boolean {
  const first = keywords[0] as string
  return nodes.some(
    (one) =>
      one.document.keyword(one, first) !== undefined &&
      keywords.every((keyword) => isSameWord(keyword, one, node, new Set())),
  )
}

function wordsOf(node: SchemaNode): string[] {
  return Object.keys(node.schema as object).filter(
    (name) => name !== '$ref' && !remarks.has(name) && node.document.keyword(node, name) !== undefined,
  )
}

function isSameWord(name: string, one: SchemaNode, other: SchemaNode, met: Pairs): boolean {
  const [a, b] = [one.document.keyword(one, name), other.document.keyword(other, name)]
  if (a === undefined || b === undefined) return a === b
  if (name === '$dynamicRef') return false
  const isPair = (steps: readonly (string | number)[], x: unknown, y: unknown) =>
    isSame(below(one, x, name, ...steps), below(other, y, name, ...steps), met)
  if (Array.isArray(a) && (lists.includes(name) || name === 'items'))
    return Array.isArray(b) && a.length === b.length && a.every((schema, index) => isPair([index], schema, b[index]))
  if (maps.includes(name)) {
    const [left, right] = [objectOf(a), objectOf(b)]
    const keys = Object.keys(left)
    return (
      keys.length === Object.keys(right).length &&
      keys.every(
        (key) =>
          Object.hasOwn(right, key) &&
          (Array.isArray(left[key]) || Array.isArray(right[key])
            ? isDeepStrictEqual(left[key], right[key])
            : isPair([key], left[key], right[key])),
      )
    )
  }
  return single.includes(name) ? !Array.isArray(b) && isPair([], a, b) : isDeepStrictEqual(a, b)
}
