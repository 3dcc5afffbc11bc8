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

/** A column has a value in each row. The value is how many rows have none. */
export function notNull(options: Configurable<OfColumn & Most>): Check {
  return declared(
    {
      kind: 'notNull',
      options: z.strictObject({ ...columnShape, ...limitShape }).transform(noneByDefault),
      measure: ({ table, column, where }) => ({
        query: `SELECT count(*) FROM ${quotedTable(table)}${all(`${quoted(column)} IS NULL`, where)}`,
        values: [],
      }),
      what: ({ table, column }) => `rows of ${table} without ${column}`,
    },
    options,
  )
}
