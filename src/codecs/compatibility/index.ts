/**
 * Whether schemas may follow one another: what reads what, by proof, and what does not, by example.
 *
 *   index         levels, and all versions of a schema
 *   json-schema   one JSON Schema beside another: proof, then search for an example
 *   proof         that a reader takes all that a writer's facts allow
 *                 (scalars: its numbers, texts and sizes; same: what is said word for word; gaps: where it fails)
 *   facts         what is known of a value by the schemas that it holds by
 *                 (properties: of an object's; types; made-up: what is assumed besides)
 *   samples       values that hold by facts (pattern-text: texts that match)
 *   rules         the texts of faults
 *   avro          Avro's rules of resolution
 */
import type { AvroSchema } from '../avro/values.js'
import { type JsonSchema, type References, SchemaDocument } from '../json-schema/document.js'
import { compareAvroSchemas } from './avro.js'
import { type AvroType, readAvroType } from './avro-type.js'
import { compareJsonSchemas } from './json-schema.js'
import {
  type Comparison,
  type CompatibilityLevel,
  type SchemaFault,
  type Sides,
  type Verdict,
  verdictOf,
} from './verdict.js'

export {
  type Comparison,
  type CompatibilityLevel,
  levels,
  type SchemaFault,
  type Sides,
  type Verdict,
} from './verdict.js'

/** One version of a schema, read. */
export type VersionSchema =
  | { readonly type: 'JSON'; readonly document: SchemaDocument }
  | { readonly type: 'AVRO'; readonly avro: AvroType }

export interface SchemaVersion {
  /** What texts call it, as `v2`. */
  readonly name: string
  readonly schema: VersionSchema
}

/** A fault between two versions: what `writer` wrote `reader` does not understand. */
export interface VersionFault extends SchemaFault {
  readonly writer: string
  readonly reader: string
}

export interface Change {
  readonly verdict: Verdict
  readonly faults: readonly VersionFault[]
}

/** Reads a JSON Schema. Errors: WEIR_CONFIG_INVALID. */
export function jsonVersion(schema: JsonSchema, uri?: string, references?: References): VersionSchema {
  return { type: 'JSON', document: new SchemaDocument(schema, uri, references) }
}

/** Reads an Avro schema. Errors: WEIR_CONFIG_INVALID. */
export function avroVersion(schema: AvroSchema, references?: readonly AvroSchema[]): VersionSchema {
  return { type: 'AVRO', avro: readAvroType(schema, references) }
}

/** Whether what one schema wrote the other reads. */
export function compareSchemas(writer: VersionSchema, reader: VersionSchema, sides: Sides): Comparison {
  if (writer.type === 'JSON' && reader.type === 'JSON')
    return compareJsonSchemas(writer.document, reader.document, sides)
  if (writer.type === 'AVRO' && reader.type === 'AVRO') return compareAvroSchemas(writer.avro, reader.avro, sides)
  const what = `${sides.writer} is of type ${writer.type}, ${sides.reader} of type ${reader.type}`
  const fault = { path: '', rule: 'format', what, mend: 'Begin a new subject.', isCertain: true }
  return { verdict: 'incompatible', faults: [fault] }
}

/** Whether a version may follow those before it, oldest first, by a level. */
export function checkChange(before: readonly SchemaVersion[], next: SchemaVersion, level: CompatibilityLevel): Change {
  const others = level.endsWith('_TRANSITIVE') ? before : before.slice(-1)
  const faults = others.flatMap((other) => [
    ...(/^(BACKWARD|FULL)/.test(level) ? faultsBetween(other, next, 'reader') : []),
    ...(/^(FORWARD|FULL)/.test(level) ? faultsBetween(next, other, 'writer') : []),
  ])
  return { verdict: verdictOf(faults), faults }
}

function faultsBetween(writer: SchemaVersion, reader: SchemaVersion, newer: Sides['newer']): readonly VersionFault[] {
  const names = { writer: writer.name, reader: reader.name }
  const { faults } = compareSchemas(writer.schema, reader.schema, { ...names, newer })
  return faults.map((fault) => ({ ...fault, ...names }))
}
