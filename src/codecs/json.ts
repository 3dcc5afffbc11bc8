import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type JsonLimits, messageOf, parseJson, WeirError } from '../model/index.js'
import { issuePath } from './issue-path.js'
import { utf8Text } from './utf8.js'

/** Makes the function that reads JSON, from bytes or text, and validates it where there is a schema. */
export function jsonReader(schema?: StandardSchemaV1, limits?: JsonLimits): (encoded: unknown) => unknown {
  if (schema === undefined) return (encoded) => decodeJson(encoded, limits)
  const validate = validator(schema)
  return (encoded) => {
    if (encoded !== null) return validate(decodeJson(encoded, limits))
    try {
      return validate(null)
    } catch (error) {
      throw isInvalid(error) ? tombstone() : error
    }
  }
}

/**
 * Makes the function that gives what a schema makes of a value.
 * Errors: WEIR_RECORD_INVALID with the fault of every field, WEIR_CONFIG_INVALID when the schema answers asynchronously.
 */
export function validator<T>(schema: StandardSchemaV1<unknown, T>): (value: unknown) => T {
  const { validate } = schema['~standard']
  return (value) => {
    const result = validate(value)
    if (result instanceof Promise) throw asynchronous(result)
    if (result.issues === undefined) return result.value
    throw new WeirError('WEIR_RECORD_INVALID', `validating a record: ${result.issues.map(faultOf).join('; ')}`)
  }
}

/** Reads JSON from bytes (UTF-8) or text, as `parseJson` does. Errors: WEIR_RECORD_MALFORMED. */
export function decodeJson(encoded: unknown, limits?: JsonLimits): unknown {
  const text = textOf(encoded)
  try {
    return parseJson(text, limits)
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
  const text = utf8Text(encoded)
  if (text === undefined) throw malformed('the bytes are no UTF-8')
  return text
}

function malformed(what: string, hint?: string): WeirError {
  return new WeirError('WEIR_RECORD_MALFORMED', `decoding JSON: ${what}`, hint === undefined ? {} : { hint })
}

function tombstone(): WeirError {
  const hint = 'Filter tombstones out before json, or give it a schema that accepts null.'
  return malformed('the value is null (a tombstone)', hint)
}

function isInvalid(error: unknown): boolean {
  return error instanceof WeirError && error.code === 'WEIR_RECORD_INVALID'
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
