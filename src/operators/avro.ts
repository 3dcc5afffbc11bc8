import { z } from 'zod'
import {
  type AvroSchema,
  avroJsonReader,
  avroJsonWriter,
  avroReader,
  avroType,
  avroWriter,
} from '../codecs/avro/values.js'
import type { SchemaRegistry } from '../codecs/schema-registry.js'
import { defineOperator, type Operator } from '../model/index.js'
import {
  type DecodeOptions,
  decodeOptions,
  decoding,
  type EncodeOptions,
  encodeOptions,
  encoding,
} from './internal/registered.js'

const avroSchema = z.custom<AvroSchema>(
  (value) => (typeof value === 'object' && value !== null) || (typeof value === 'string' && value !== ''),
  'expected an Avro schema: an object, or the name of a type',
)

export const avroDecode = defineOperator({
  name: 'avro.decode',
  summary: 'Decodes Avro by the schema registry.',
  connection: 'schemaRegistry',
  onError: 'dead-letter',
  options: z.strictObject({
    schema: avroSchema.optional().describe("The schema to read values as; each writer's own if not given."),
    ...decodeOptions,
  }),
  build: ({ schema, connection }, context) => {
    const type = schema === undefined ? undefined : avroType(schema)
    const format = {
      type: 'AVRO',
      reader: (writer: string) => avroReader(writer, type),
      plain: avroJsonReader(type),
    } as const
    return decoding(format, context.connection<SchemaRegistry>('schemaRegistry', connection), context)
  },
})

export const avroEncode = defineOperator({
  name: 'avro.encode',
  summary: 'Encodes values as Avro, with a schema of the schema registry.',
  connection: 'schemaRegistry',
  onError: 'fail',
  options: z.strictObject({ schema: avroSchema.describe('The schema of the values.'), ...encodeOptions }),
  build: ({ schema, connection, ...registration }, context) => {
    const type = avroType(schema)
    const format = {
      type: 'AVRO',
      schema: JSON.stringify(schema),
      writer: (id: number) => avroWriter(type, id),
      plain: avroJsonWriter(type),
    } as const
    return encoding(format, registration, context.connection<SchemaRegistry>('schemaRegistry', connection), context)
  },
})

export const avro = {
  /**
   * Decodes Avro in Confluent's wire format: a zero byte, four bytes of schema id, the value. The registry tells the
   * schema that a value was written with; it is read as `schema`, by Avro's rules for how schemas evolve.
   *
   * What does not decode, or was written with a schema that the registry does not know or that can't be read as
   * `schema`, is rejected with WEIR_RECORD_MALFORMED; by default it goes to the dead letters. When the registry can't be
   * reached the epoch is tried again. Where none is named values are plain JSON, held to the schema all the same
   * (WEIR_RECORD_INVALID).
   */
  decode<T>(schema?: AvroSchema, options: DecodeOptions = {}): Operator<Buffer | string | null, T> {
    return avroDecode.declare(schema === undefined ? options : { ...options, schema })
  },

  /**
   * Encodes values as Avro in Confluent's wire format, for any sink that takes bytes. The schema is registered under
   * `subject` before the first value; a registry that refuses it stops the flow. A value that does not fit the schema
   * is rejected with WEIR_RECORD_INVALID, which by default ends the epoch. Where no registry is named values become plain
   * JSON.
   */
  encode<T>(schema: AvroSchema, options: EncodeOptions): Operator<T, Buffer> {
    return avroEncode.declare({ ...options, schema })
  },
}
