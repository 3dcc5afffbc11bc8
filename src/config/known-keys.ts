import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'

type JsonSchema = z.core.JSONSchema.JSONSchema

/** The keys that a schema knows, for those that it does not: of schemas of zod, for no other can be asked. */
export class KnownKeys {
  private readonly root: JsonSchema | undefined

  constructor(schema: StandardSchemaV1) {
    this.root =
      schema instanceof z.ZodType
        ? z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' })
        : undefined
  }

  keysAt(path: readonly PropertyKey[]): string[] {
    let found = this.root === undefined ? [] : [this.root]
    for (const step of path) found = found.flatMap((each) => stepInto(each, String(step)))
    return [...new Set(found.flatMap(shapesOf).flatMap(({ properties = {} }) => Object.keys(properties)))]
  }

  /** Where a key of that name is known, the nearest to the root first. */
  pathsTo(key: string, under: readonly string[] = [], depth = 8): (readonly string[])[] {
    const keys = depth === 0 ? [] : this.keysAt(under)
    const here = keys.includes(key) ? [[...under, key]] : []
    const below = keys.flatMap((each) => this.pathsTo(key, [...under, each], depth - 1))
    return [...here, ...below].sort((a, b) => a.length - b.length)
  }
}

function stepInto(schema: JsonSchema, key: string): JsonSchema[] {
  return shapesOf(schema).flatMap(({ properties = {}, items, additionalProperties }) => {
    const next = properties[key] ?? (Array.isArray(items) ? items[Number(key)] : items) ?? additionalProperties
    return typeof next === 'object' ? [next] : []
  })
}

/** A schema, and what it is any of. */
function shapesOf(schema: JsonSchema): JsonSchema[] {
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...inner.flatMap((each) => (typeof each === 'object' ? shapesOf(each) : []))]
}
