import { map } from 'rxjs'
import { z } from 'zod'
import type { EventVersion } from '../codecs/event-schemas/compiled.js'
import type { EventSchemas } from '../codecs/event-schemas/event-schemas.js'
import { asWeirError, defineOperator, fn, type Operator, type StreamRecord, WeirError } from '../model/index.js'
import { inTurn } from './internal/registered.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Select<V> = (value: V, record: StreamRecord<V>) => unknown

export interface ValidateOptions<V> extends RejectingStage {
  /** The event type. Default: the field `eventType` or `event_type`. */
  readonly type?: Select<V>
  /** The version of the schema that an event was written by, `2` or `v2`; undefined where it says none. Default: none. */
  readonly version?: Select<V>
  /** The schemas, where there are several connections with some. */
  readonly connection?: string
}

export const validateDefinition = defineOperator({
  name: 'validate',
  summary: 'Validates events by the schemas of their types.',
  connection: 'eventSchemas',
  onError: 'dead-letter',
  options: z.strictObject({
    type: fn<Select<unknown>>()
      .optional()
      .describe('The event type; the field `eventType` or `event_type` if not given.'),
    version: fn<Select<unknown>>()
      .optional()
      .describe('The version of the schema that an event was written by; the newest that fits if it says none.'),
    connection: z.string().optional().describe('The schemas, where there are several connections with some.'),
    ...rejectingStage,
  }),
  build: ({ type = fieldType, version, connection }, context) => {
    const schemas = context.connection<EventSchemas>('eventSchemas', connection)
    return inTurn((record) => {
      const asked = askedOf(record, type, version)
      const known = schemas.known(asked.type)
      const found = known === undefined ? undefined : chosen(record.value, known, asked)
      if (found !== undefined && !(found instanceof WeirError)) return [record.with(found.value)]
      // There may be a newer version by now.
      return schemas.versions(asked.type).pipe(
        map((versions) => {
          const found = chosen(record.value, versions, asked)
          if (found instanceof WeirError) throw found
          return record.with(found.value)
        }),
      )
    }, context)
  },
})

/**
 * Validates events by the JSON Schema of their type, from the connection `eventSchemas`: by the version that they say, or by
 * the newest that fits. A property that is required, missing and has a default gets that (not within `anyOf`, `oneOf`, `if`
 * and `not`); otherwise the value stays the same.
 *
 * What does not validate is rejected with WEIR_RECORD_INVALID, which names every fault with its path (of the newest version,
 * where none fits), what has no type, or one or a version that there is no schema for, with WEIR_RECORD_NO_SCHEMA. By default
 * both go to the dead letters. A registry is asked for new versions when nothing fits, at most each ten seconds for a type;
 * while it can't be reached the epoch is tried again. Schemas that don't hold stop the flow.
 */
export function validate<V>(options: ValidateOptions<V> = {}): Operator<V, V> {
  return validateDefinition.declare(options)
}

interface Asked {
  readonly type: string
  readonly version: number | undefined
}

function askedOf(record: StreamRecord, type: Select<unknown>, version: Select<unknown> | undefined): Asked {
  try {
    return { type: typeText(type(record.value, record)), version: versionOf(version?.(record.value, record)) }
  } catch (error) {
    throw asWeirError(error, 'WEIR_STAGE_FAILED')
  }
}

/** What the event becomes, or why it is rejected. */
function chosen(
  value: unknown,
  versions: readonly EventVersion[],
  { type, version }: Asked,
): { readonly value: unknown } | WeirError {
  const candidates = version === undefined ? versions.toReversed() : versions.filter((one) => one.version === version)
  let first: WeirError | undefined
  for (const candidate of candidates) {
    const judged = candidate.judge(value)
    if ('value' in judged) return judged
    const what = `validating an event of type '${type}' by v${candidate.version}: ${judged.faults.join('; ')}`
    first ??= new WeirError('WEIR_RECORD_INVALID', what)
  }
  return first ?? noSchema(type, version, versions)
}

function noSchema(type: string, version: number | undefined, versions: readonly EventVersion[]): WeirError {
  const there = versions.map((one) => `v${one.version}`).join(', ')
  const what =
    versions.length === 0
      ? `there is no schema for the type '${type}'`
      : `there is no v${version} of '${type}', but ${there}`
  return new WeirError('WEIR_RECORD_NO_SCHEMA', `validating an event: ${what}`, {
    hint: 'Add the schema, or correct the producer.',
  })
}

function fieldType(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  const { eventType, event_type: snake } = value as Record<string, unknown>
  return eventType ?? snake
}

function typeText(type: unknown): string {
  if (typeof type === 'string' && type !== '') return type
  throw new WeirError('WEIR_RECORD_NO_SCHEMA', 'validating an event: it says no type', {
    hint: 'Write its type into eventType, or tell the stage where it is: validate({ type: … }).',
  })
}

function versionOf(version: unknown): number | undefined {
  if (version === undefined || version === null) return undefined
  const text = typeof version === 'string' || typeof version === 'number' ? String(version) : ''
  const [, digits] = /^v?(\d{1,9})$/.exec(text) ?? []
  if (digits !== undefined) return Number(digits)
  throw new WeirError('WEIR_RECORD_NO_SCHEMA', `validating an event: ${JSON.stringify(version)} is no version`)
}
