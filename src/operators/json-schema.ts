import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { jsonReader, validator } from '../codecs/json.js'
import type { SchemaRegistry } from '../codecs/schema-registry.js'
import { headerBytes, writeHeader } from '../codecs/wire-format.js'
import { defineOperator, messageOf, type Operator, WeirError } from '../model/index.js'
import {
  type DecodeOptions,
  decodeOptions,
  decoding,
  type EncodeOptions,
  encodeOptions,
  encoding,
} from './internal/registered.js'
import { standardSchema } from './internal/standard-schema.js'

/** A schema that can say itself as JSON Schema too: zod's can. */
type Described = StandardSchemaV1 & StandardJSONSchemaV1

const describedSchema = z.custom<Described>(
  (value) => typeof (value as Described | undefined)?.['~standard']?.jsonSchema?.input === 'function',
  'expected a zod schema, or another Standard Schema that can tell its JSON Schema',
)

export const jsonSchemaDecode = defineOperator({
  name: 'jsonSchema.decode',
  summary: 'Decodes JSON that was written with a schema of the schema registry, and validates it.',
  connection: 'schemaRegistry',
  onError: 'dead-letter',
  options: z.strictObject({
    schema: standardSchema.describe('A zod schema, or any Standard Schema.'),
    ...decodeOptions,
  }),
  build: ({ schema, connection }, context) => {
    const plain = jsonReader(schema)
    const format = {
      type: 'JSON',
      reader: () => (encoded: Buffer) => plain(encoded.subarray(headerBytes)),
      plain,
    } as const
    return decoding(format, context.connection<SchemaRegistry>('schemaRegistry', connection), context)
  },
})

export const jsonSchemaEncode = defineOperator({
  name: 'jsonSchema.encode',
  summary: 'Encodes values as JSON, with a JSON Schema of the schema registry.',
  connection: 'schemaRegistry',
  onError: 'fail',
  options: z.strictObject({
    schema: describedSchema.describe('A zod schema, or a Standard Schema that can tell its JSON Schema.'),
    ...encodeOptions,
  }),
  build: ({ schema, connection, ...registration }, context) => {
    const validate = validator(schema)
    const text = (value: unknown) => {
      validate(value)
      return JSON.stringify(value)
    }
    const format = {
      type: 'JSON',
      schema: JSON.stringify(jsonSchemaOf(schema)),
      writer: (id: number) => (value: unknown) => headed(id, text(value)),
      plain: (value: unknown) => Buffer.from(text(value)),
    } as const
    return encoding(format, registration, context.connection<SchemaRegistry>('schemaRegistry', connection), context)
  },
})

export const jsonSchema = {
  /**
   * Decodes JSON in Confluent's wire format (a zero byte, four bytes of schema id, the JSON), and validates it as
   * `json(schema)` does, whose errors it has. The writer's schema is looked up to know that there is one: an id that the
   * registry does not know is WEIR_RECORD_MALFORMED. When the registry can't be reached the epoch is tried again. Where
   * none is named values are plain JSON.
   */
  decode<S extends StandardSchemaV1>(
    schema: S,
    options: DecodeOptions = {},
  ): Operator<Buffer | string | null, StandardSchemaV1.InferOutput<S>> {
    return jsonSchemaDecode.declare({ ...options, schema })
  },

  /**
   * Encodes values as JSON in Confluent's wire format, for any sink that takes bytes. The JSON Schema of `schema` (draft
   * 7) is registered under `subject` before the first value; a registry that refuses it stops the flow. A value that does
   * not fit is rejected with WEIR_RECORD_INVALID, which by default ends the epoch. Where no registry is named values
   * become plain JSON.
   */
  encode<S extends Described>(schema: S, options: EncodeOptions): Operator<StandardSchemaV1.InferInput<S>, Buffer> {
    return jsonSchemaEncode.declare({ ...options, schema })
  },
}

function headed(schemaId: number, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + Buffer.byteLength(text))
  writeHeader(bytes, schemaId)
  bytes.write(text, headerBytes)
  return bytes
}

function jsonSchemaOf(schema: Described): object {
  try {
    return schema['~standard'].jsonSchema.input({ target: 'draft-07' })
  } catch (error) {
    throw new WeirError('WEIR_CONFIG_INVALID', `making a JSON Schema: ${messageOf(error)}`, { cause: error })
  }
}
