import { messageOf, WeirError } from '../../model/index.js'
import { isPlainObject } from '../../model/plain-object.js'
import type { AvroSchema } from '../avro/values.js'
import { avroVersion, jsonVersion, type VersionSchema } from '../compatibility/index.js'
import { type JsonSchema, SchemaDocument } from '../json-schema/document.js'
import type { SchemaType } from '../schema-registry.js'

/** One version of the schema of an event type, as text. */
export interface EventSchema {
  readonly eventType: string
  readonly version: number
  readonly type: SchemaType
  readonly text: string
  /** The schemas that it refers to, by the names that it has for them. */
  readonly references: ReadonlyMap<string, EventSchema>
}

/** What texts call it, as `user_signup/v2`. */
export function nameOf({ eventType, version }: Pick<EventSchema, 'eventType' | 'version'>): string {
  return `${eventType}/v${version}`
}

/** What a `$ref` in it is relative to: `../base/v1.json` leads from one event type to another. */
export function uriOf({ eventType, version, type }: Omit<EventSchema, 'text' | 'references'>): string {
  return `schema://schemas/${encodeURIComponent(eventType)}/v${version}.${type === 'JSON' ? 'json' : 'avsc'}`
}

/** Compiles a schema, to validate by. Errors: WEIR_CONFIG_INVALID. */
export function documentOf(schema: EventSchema): SchemaDocument {
  const { root, uri, references } = jsonParts(schema)
  return new SchemaDocument(root, uri, references)
}

/** Reads a schema, to compare it. Errors: WEIR_CONFIG_INVALID. */
export function versionSchemaOf(schema: EventSchema): VersionSchema {
  if (schema.type === 'AVRO') return avroVersion(parsed(schema) as AvroSchema, [...avroReferences(schema)])
  const { root, uri, references } = jsonParts(schema)
  return jsonVersion(root, uri, references)
}

/** The texts of all `$ref` in a schema that lead out of it. */
export function refsIn(part: unknown): string[] {
  if (Array.isArray(part)) return part.flatMap(refsIn)
  if (!isPlainObject(part)) return []
  return Object.entries(part).flatMap(([name, value]) => {
    if (name !== '$ref' || typeof value !== 'string') return refsIn(value)
    const [file = ''] = value.split('#')
    return file === '' ? [] : [file]
  })
}

/** Parses the text of a schema. Errors: WEIR_CONFIG_INVALID. */
export function parsed(schema: EventSchema): unknown {
  try {
    return JSON.parse(schema.text) as unknown
  } catch (error) {
    throw new WeirError('WEIR_CONFIG_INVALID', `reading the schema ${nameOf(schema)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

interface JsonParts {
  readonly root: JsonSchema
  readonly uri: string
  readonly references: ReadonlyMap<string, JsonSchema>
}

function jsonParts(schema: EventSchema): JsonParts {
  const references = new Map<string, JsonSchema>()
  const add = (referrer: EventSchema, uri: string): JsonSchema => {
    const root = parsed(referrer) as JsonSchema
    const id = isPlainObject(root) && typeof root['$id'] === 'string' ? root['$id'] : ''
    const base = new URL(id, uri).href
    for (const [name, reference] of referrer.references) {
      const target = new URL(name, base).href
      if (references.has(target)) continue
      references.set(target, true)
      references.set(target, add(reference, target))
    }
    return root
  }
  const uri = uriOf(schema)
  return { root: add(schema, uri), uri, references }
}

/** Those that are referred to come first, each once. */
function avroReferences(schema: EventSchema, seen = new Set<EventSchema>()): AvroSchema[] {
  return [...schema.references.values()].flatMap((reference) => {
    if (seen.has(reference)) return []
    seen.add(reference)
    return [...avroReferences(reference, seen), parsed(reference) as AvroSchema]
  })
}
