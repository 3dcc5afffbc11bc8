import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { jsonReader } from '../codecs/json.js'
import { defineOperator, isWeirError, type Operator, operate, type StreamRecord, usualDepth } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'
import { standardSchema } from './internal/standard-schema.js'

type Encoded = Buffer | string | null

export interface JsonOptions extends RejectingStage {
  /** How deep arrays and objects may nest. Default 100. */
  readonly depth?: number
  /**
   * What becomes of integers that a number would alter, as it does most of those beyond 2^53: the record is rejected, or
   * they become `bigint`, or their digits as `text`. Default `reject`.
   */
  readonly bigIntegers?: 'reject' | 'bigint' | 'text'
}

export const jsonDefinition = defineOperator({
  name: 'json',
  summary: 'Decodes JSON and validates it.',
  onError: 'dead-letter',
  options: z.strictObject({
    schema: standardSchema
      .optional()
      .describe('A zod schema, or any Standard Schema; without one JSON is only decoded.'),
    depth: z.int().min(1).default(usualDepth).describe('How deep arrays and objects may nest.'),
    bigIntegers: z
      .enum(['reject', 'bigint', 'text'])
      .default('reject')
      .describe('What becomes of integers that a number would alter, most of those beyond 2^53.'),
    ...rejectingStage,
  }),
  build: ({ schema, depth, bigIntegers }, context) => {
    const read = jsonReader(schema, { depth, bigIntegers })
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let value: unknown
        try {
          value = read(record.value)
        } catch (error) {
          if (isWeirError(error) && error.remedy === 'stop') throw error
          return context.reject(record, error)
        }
        output.next(record.with(value))
      },
    }))
  },
})

/**
 * Decodes JSON, from bytes (UTF-8) or text, and validates it with a zod schema or any other Standard Schema, whose
 * output (defaults, transforms) is the new value. Without a schema `json<T>()` only decodes.
 *
 * A byte order mark is passed over. What does not decode, nests too deep, or has an integer that a number would alter, is rejected with WEIR_RECORD_MALFORMED, what does not validate with WEIR_RECORD_INVALID and the
 * fault of every field; by default both go to the dead letters. A tombstone (null) is passed to the schema, and rejected
 * as malformed when there is none or it does not accept null. A schema that answers asynchronously stops the flow:
 * validate in `mapAsync` then.
 */
export function json<S extends StandardSchemaV1>(
  schema: S,
  options?: JsonOptions,
): Operator<Encoded, StandardSchemaV1.InferOutput<S>>
export function json<T = unknown>(schema?: undefined, options?: JsonOptions): Operator<Encoded, T>
export function json(schema?: StandardSchemaV1, options: JsonOptions = {}): Operator<Encoded, unknown> {
  return jsonDefinition.declare(schema === undefined ? options : { ...options, schema })
}
