import { isUtf8 } from 'node:buffer'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { issuePath } from '../codecs/issue-path.js'
import { defineOperator, messageOf, type Operator, type StreamRecord, WeirError } from '../model/index.js'
import { operate } from './internal/operate.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Encoded = Buffer | string | null

const standardSchema = z.custom<StandardSchemaV1>(
  (value) => typeof (value as StandardSchemaV1 | undefined)?.['~standard']?.validate === 'function',
  'expected a zod schema or another Standard Schema',
)

export const jsonDefinition = defineOperator({
  name: 'json',
  summary: 'Decodes JSON and validates it.',
  onError: 'dead-letter',
  options: z.strictObject({
    schema: standardSchema
      .optional()
      .describe('A zod schema, or any Standard Schema; without one JSON is only decoded.'),
    ...rejectingStage,
  }),
  build: ({ schema }, context) => {
    const read = schema === undefined ? decode : validating(schema)
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let value: unknown
        try {
          value = read(record.value)
        } catch (error) {
          if (error instanceof WeirError && error.remedy === 'stop') throw error
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
 * What does not decode is rejected with WEIR_RECORD_MALFORMED, what does not validate with WEIR_RECORD_INVALID and the
 * fault of every field; by default both go to the dead letters. A tombstone (null) is passed to the schema, and rejected
 * as malformed when there is none or it does not accept null. A schema that answers asynchronously stops the flow:
 * validate in `mapAsync` then.
 */
export function json<S extends StandardSchemaV1>(
  schema: S,
  options?: RejectingStage,
): Operator<Encoded, StandardSchemaV1.InferOutput<S>>
export function json<T = unknown>(schema?: undefined, options?: RejectingStage): Operator<Encoded, T>
export function json(schema?: StandardSchemaV1, options: RejectingStage = {}): Operator<Encoded, unknown> {
  return jsonDefinition.declare(schema === undefined ? options : { ...options, schema })
}

function validating(schema: StandardSchemaV1): (encoded: unknown) => unknown {
  const { validate } = schema['~standard']
  return (encoded) => {
    const result = validate(encoded === null ? null : decode(encoded))
    if (result instanceof Promise) throw asynchronous(result)
    if (result.issues === undefined) return result.value
    throw encoded === null ? tombstone() : invalid(result.issues)
  }
}

function decode(encoded: unknown): unknown {
  const text = textOf(encoded)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw malformed(messageOf(error))
  }
}

function textOf(encoded: unknown): string {
  if (typeof encoded === 'string') return encoded
  if (encoded === null) throw tombstone()
  if (!Buffer.isBuffer(encoded)) {
    throw malformed(
      `expected bytes or text, got ${typeof encoded}`,
      'Take json out: the stage before it has decoded already.',
    )
  }
  const text = encoded.toString()
  // Bytes that are no UTF-8 become U+FFFD, and looking for that costs nothing in the text of one-byte characters.
  if (text.includes('\uFFFD') && !isUtf8(encoded)) throw malformed('the bytes are no UTF-8')
  return text
}

function malformed(what: string, hint?: string): WeirError {
  return new WeirError('WEIR_RECORD_MALFORMED', `decoding JSON: ${what}`, hint === undefined ? {} : { hint })
}

function tombstone(): WeirError {
  const hint = 'Filter tombstones out before json, or give it a schema that accepts null.'
  return malformed('the value is null (a tombstone)', hint)
}

function invalid(issues: readonly StandardSchemaV1.Issue[]): WeirError {
  return new WeirError('WEIR_RECORD_INVALID', `validating a record: ${issues.map(faultOf).join('; ')}`)
}

function faultOf(issue: StandardSchemaV1.Issue): string {
  const { message } = issue
  const field = issuePath(issue)
  return field === '' ? message : `${field}: ${message}`
}

function asynchronous(answer: Promise<unknown>): WeirError {
  // Nobody will await it, and a rejection that nobody handles ends the process.
  answer.catch(() => undefined)
  return new WeirError('WEIR_CONFIG_INVALID', 'validating a record: the schema answers asynchronously', {
    hint: 'Take asynchronous checks out of the schema (and checks that throw), or validate in mapAsync.',
  })
}
