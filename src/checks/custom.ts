import { z } from 'zod'
import type { Configurable } from '../model/index.js'
import { type Check, declared } from './check.js'
import { type CheckLimit, hasLimits, limitShape, noLimits } from './limits.js'

export interface CustomOptions {
  /** A query that gives one number, in the first column of its first row; null, or no row, is nothing to judge. */
  readonly query: string
  /** Its parameters: `$1` and so on. Default: none. */
  readonly values?: readonly (string | number | boolean | null)[]
  /** What the number is, for people. Default: the query. */
  readonly what?: string
  /** What the number may be; else the check fails as a warning. */
  readonly warn?: CheckLimit
  /** The same as an error. One of the two has to be given. */
  readonly error?: CheckLimit
}

const options = z
  .strictObject({
    query: z.string().min(1).describe('A query that gives one number.'),
    values: z
      .array(z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .default([])
      .describe('Its parameters: `$1` and so on.'),
    what: z.string().min(1).optional().describe('What the number is, for people; the query if not given.'),
    ...limitShape,
  })
  .refine(hasLimits, noLimits)

/** A number that a query of your own gives. */
export function custom(given: Configurable<CustomOptions>): Check {
  return declared(
    {
      kind: 'custom',
      options,
      measure: ({ query, values }) => ({ query, values }),
      what: ({ query, what }) => what ?? query,
    },
    given,
  )
}
