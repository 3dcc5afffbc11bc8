import { z } from 'zod'
import { quoting } from '../sql/index.js'
import type { CheckLimit, Limits } from './limits.js'

/** What a check asks a database. The first column of the first row is the value: a number, or null where there is nothing to judge. */
export interface Measure {
  readonly query: string
  readonly values: readonly unknown[]
}

export interface CheckDefinition<Schema extends z.ZodType<Limits> = z.ZodType<Limits>> {
  /** `notNull`, `fresh`. */
  readonly kind: string
  readonly options: Schema
  measure(options: z.output<Schema>): Measure
  /** What the value counts or measures: `rows of pipeline.events without user_id`. */
  what(options: z.output<Schema>): string
}

/** A check as a configuration declares it, for `checks`. */
export interface Check {
  readonly definition: CheckDefinition
  readonly options: unknown
}

/** A check whose options hold. */
export interface PlannedCheck {
  readonly kind: string
  readonly measure: Measure
  readonly what: string
  readonly limits: Limits
}

export function declared<Schema extends z.ZodType<Limits>>(
  definition: CheckDefinition<Schema>,
  options: unknown,
): Check {
  return { definition, options }
}

/** A check among the options of a stage. */
export const checkOption = z
  .custom<Check>(
    (value) => typeof value === 'object' && value !== null && 'definition' in value && 'options' in value,
    'expected a check, such as notNull({ … })',
  )
  .transform(({ definition, options }, context): PlannedCheck => {
    const parsed = definition.options.safeParse(options)
    if (!parsed.success) {
      for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
      return z.NEVER
    }
    const { kind } = definition
    return {
      kind,
      measure: definition.measure(parsed.data),
      what: definition.what(parsed.data),
      limits: parsed.data,
    }
  })

const name = z.string().min(1)

export const tableShape = {
  table: name.describe('The table, with its schema if need be: `schema.table`.'),
  where: z.string().min(1).optional().describe('Which of its rows count, as in SQL.'),
}

export const columnShape = { ...tableShape, column: name.describe('The column.') }

/** What every check of a table can be told. */
export interface OfTable {
  /** The table, with its schema if need be: `schema.table`. Spelled as in the catalog. */
  readonly table: string
  /** Which of its rows count, as in SQL: `created_at > now() - interval '1 day'`. Default: all. */
  readonly where?: string
}

export interface OfColumn extends OfTable {
  readonly column: string
}

/** How many may break a rule. Default: `error: 0`. */
export interface Most {
  /** More of them, and the check fails as a warning. */
  readonly warn?: CheckLimit
  /** More of them, and it fails as an error. */
  readonly error?: CheckLimit
}

/** The limits of a check that counts what breaks a rule: none of it, unless others are given. */
export function noneByDefault<O extends Limits>(options: O): O {
  return options.warn === undefined && options.error === undefined ? { ...options, error: { max: 0 } } : options
}

export const { quoted, quotedTable } = quoting('"')

/** The condition of a query: all of these. */
export function all(...conditions: readonly (string | undefined)[]): string {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? '' : ` WHERE ${given.map((condition) => `(${condition})`).join(' AND ')}`
}
