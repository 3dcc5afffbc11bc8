import { z } from 'zod'
import type { Configurable } from '../model/index.js'
import {
  all,
  type Check,
  columnShape,
  declared,
  type Most,
  noneByDefault,
  type OfColumn,
  quoted,
  quotedTable,
} from './check.js'
import { limitShape } from './limits.js'

export interface AcceptedOptions extends OfColumn, Most {
  /** What may be there, as text. */
  readonly values: readonly string[]
}

const shape = { ...columnShape, values: z.array(z.string()).min(1).describe('What may be there, as text.') }

/** A column has one of some values, or none. The value is how many rows have another. */
export function accepted(options: Configurable<AcceptedOptions>): Check {
  return declared(
    {
      kind: 'accepted',
      options: z.strictObject({ ...shape, ...limitShape }).transform(noneByDefault),
      measure: ({ table, column, values, where }) => ({
        query: `SELECT count(*) FROM ${quotedTable(table)}${all(`${quoted(column)}::text <> ALL ($1::text[])`, where)}`,
        values: [values],
      }),
      what: ({ table, column }) => `rows of ${table} with another ${column}`,
    },
    options,
  )
}
