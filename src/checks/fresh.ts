import { z } from 'zod'
import { type Configurable, type Duration, duration } from '../model/index.js'
import { all, type Check, columnShape, declared, type OfColumn, quoted, quotedTable } from './check.js'
import { hasLimits, noLimits } from './limits.js'

export interface FreshOptions extends OfColumn {
  /** How old the newest row may be; older, and the check fails as a warning. */
  readonly warn?: Duration
  /** The same as an error. One of the two has to be given. */
  readonly error?: Duration
}

const age = duration.transform((ms) => ({ max: ms / 1_000 })).optional()
const options = z
  .strictObject({
    ...columnShape,
    warn: age.describe('How old the newest row may be; older, and the check fails as a warning.'),
    error: age.describe('How old the newest row may be; older, and the check fails as an error.'),
  })
  .refine(hasLimits, noLimits)

/** The newest time in a column is not long ago, by the database's clock. The value is its age, s; of no rows there is none to judge. */
export function fresh(given: Configurable<FreshOptions>): Check {
  return declared(
    {
      kind: 'fresh',
      options,
      measure: ({ table, column, where }) => ({
        query: `SELECT extract(epoch FROM now() - max(${quoted(column)})) FROM ${quotedTable(table)}${all(where)}`,
        values: [],
      }),
      what: ({ table, column }) => `seconds since the newest ${column} of ${table}`,
    },
    given,
  )
}
