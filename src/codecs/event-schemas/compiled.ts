import type { ErrorObject } from 'ajv'
import { hasDefaults, withDefaults } from '../json-schema/defaults.js'
import { pointerName } from '../json-schema/document.js'
import { documentOf, type EventSchema } from './event-schema.js'

/** What a version makes of an event: the event, its defaults filled in, or all that is wrong with it. */
export type Judged = { readonly value: unknown } | { readonly faults: readonly string[] }

/** One version of an event type, compiled. */
export interface EventVersion {
  readonly version: number
  judge(value: unknown): Judged
}

/** Compiles a version. Errors: WEIR_CONFIG_INVALID. */
export function compiled(schema: EventSchema): EventVersion {
  const document = documentOf(schema)
  // To look for what an event lacks takes longer than to validate it.
  const fills = hasDefaults(document.root)
  return {
    version: schema.version,
    judge(value) {
      const filled = fills ? withDefaults(document.root, value) : value
      const errors = document.errors(document.root, filled)
      if (errors.length === 0) return { value: filled }
      return { faults: [...new Set(errors.filter(isTelling).map(faultText))] }
    },
  }
}

/** That one of several alternatives failed says nothing beside why each of them did. */
function isTelling({ keyword }: ErrorObject): boolean {
  return keyword !== 'if'
}

function faultText({ instancePath, keyword, params, message = 'does not hold' }: ErrorObject): string {
  const given = params as Record<string, unknown>
  const path = instancePath.split('/').slice(1).map(pointerName)
  const named = [given['missingProperty'], given['additionalProperty'], given['unevaluatedProperty']]
  const place = [...path, ...named.filter((name) => typeof name === 'string')].join('.')
  return place === '' ? `the event ${message}` : `${place}: ${textOf(keyword, given, message)}`
}

function textOf(keyword: string, params: Record<string, unknown>, message: string): string {
  if (params['missingProperty'] !== undefined) return 'is missing'
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') return 'is not allowed'
  if (keyword === 'enum') return `must be one of ${JSON.stringify(params['allowedValues'])}`
  if (keyword === 'const') return `must be ${JSON.stringify(params['allowedValue'])}`
  return message
}
