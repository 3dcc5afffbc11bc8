import { z } from 'zod'
import type { Configurable } from '../model/index.js'
import {
  all,
  type Check,
  declared,
  type Most,
  noneByDefault,
  type OfTable,
  quoted,
  quotedTable,
  tableShape,
} from './check.js'
import { limitShape } from './limits.js'

export interface UniqueOptions extends OfTable, Most {
  /** The column, or the columns that are unique together. */
  readonly column: string | readonly string[]
}

const shape = {
  ...tableShape,
  column: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).describe('The column, or several together.'),
}

/** No two rows have the same in a column; those without a value don't count. The value is how many rows are too many. */
export function unique(options: Configurable<UniqueOptions>): Check {
  return declared(
    {
      kind: 'unique',
      options: z.strictObject({ ...shape, ...limitShape }).transform(noneByDefault),
      measure: ({ table, column, where }) => {
        const columns = [column].flat().map(quoted)
        const there = columns.map((name) => `${name} IS NOT NULL`)
        const together = columns.length === 1 ? columns.join() : `(${columns.join(', ')})`
        return {
          query: `SELECT count(*) - count(DISTINCT ${together}) FROM ${quotedTable(table)}${all(...there, where)}`,
          values: [],
        }
      },
      what: ({ table, column }) => `rows of ${table} whose ${[column].flat().join(', ')} is there already`,
    },
    options,
  )
}
