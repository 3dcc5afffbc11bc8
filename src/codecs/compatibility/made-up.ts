import { isDeepStrictEqual } from 'node:util'
import { isPlainObject } from '../../model/plain-object.js'
import { type JsonSchema, SchemaDocument, type SchemaNode } from '../json-schema/document.js'
import { objectOf } from '../json-schema/walk.js'
import { typeOf, typesOf } from './types.js'

/** What nothing is. */
export const never = {
  schema: false,
  at: undefined,
  get document() {
    return madeUp(true).document
  },
} as const satisfies SchemaNode

/** What stands in no document: it has `type`, `required`, `properties` and `const` only. */
export function madeUp(schema: JsonSchema): SchemaNode {
  return { schema, document: (nowhere ??= new SchemaDocument(true)), at: undefined }
}

let nowhere: SchemaDocument | undefined

export function nodeAccepts(node: SchemaNode, value: unknown): boolean {
  const { schema, at, document } = node
  if (at !== undefined || typeof schema === 'boolean') return document.accepts(node, value)
  if (Object.hasOwn(schema, 'const') && !isDeepStrictEqual(schema['const'], value)) return false
  if (!typesOf(node).has(typeOf(value))) return false
  if (!isPlainObject(value)) return true
  const required = (schema['required'] ?? []) as readonly string[]
  const properties = Object.entries(objectOf(schema['properties']))
  return (
    required.every((name) => Object.hasOwn(value, name)) &&
    properties.every(
      ([name, own]) => !Object.hasOwn(value, name) || nodeAccepts(madeUp(own as JsonSchema), value[name]),
    )
  )
}
