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

export interface ReferenceOptions extends OfColumn, Most {
  /** The table and the column that have to have it as well. */
  readonly to: { readonly table: string; readonly column: string }
}

const name = z.string().min(1)
const shape = {
  ...columnShape,
  to: z.strictObject({ table: name, column: name }).describe('The table and the column that have to have it as well.'),
}

/** What a column has is also in a column of another table, if it has anything. The value is how many rows lead nowhere. */
export function reference(options: Configurable<ReferenceOptions>): Check {
  return declared(
    {
      kind: 'reference',
      options: z.strictObject({ ...shape, ...limitShape }).transform(noneByDefault),
      measure: ({ table, column, to, where }) => {
        const from = quotedTable(table)
        const counted = `SELECT ${quoted(column)} AS has FROM ${from}${all(`${quoted(column)} IS NOT NULL`, where)}`
        const there = `SELECT FROM ${quotedTable(to.table)} AS other WHERE other.${quoted(to.column)} = these.has`
        return { query: `SELECT count(*) FROM (${counted}) AS these WHERE NOT EXISTS (${there})`, values: [] }
      },
      what: ({ table, column, to }) => `rows of ${table} whose ${column} is not in ${to.table}`,
    },
    options,
  )
}
