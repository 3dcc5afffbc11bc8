import { z } from 'zod'
import type { Configurable } from '../model/index.js'
import { all, type Check, declared, type OfTable, quotedTable, tableShape } from './check.js'
import { type CheckLimit, hasLimits, limitShape, noLimits } from './limits.js'

export interface VolumeOptions extends OfTable {
  /** How many rows there may be; else the check fails as a warning. */
  readonly warn?: CheckLimit
  /** The same as an error. One of the two has to be given. */
  readonly error?: CheckLimit
}

const options = z.strictObject({ ...tableShape, ...limitShape }).refine(hasLimits, noLimits)

/** A table has neither too few rows nor too many. The value is how many it has. */
export function volume(given: Configurable<VolumeOptions>): Check {
  return declared(
    {
      kind: 'volume',
      options,
      measure: ({ table, where }) => ({
        query: `SELECT count(*) FROM ${quotedTable(table)}${all(where)}`,
        values: [],
      }),
      what: ({ table, where }) => `rows of ${table}${where === undefined ? '' : ` where ${where}`}`,
    },
    given,
  )
}
