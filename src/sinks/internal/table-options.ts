import { z } from 'zod'
import { errorPolicy, fn, type StreamRecord } from '../../model/index.js'
import type { Row } from '../../sql/index.js'

/** The options that sinks of tables share. */
export const tableShape = {
  row: fn<(value: never, record: StreamRecord) => Row>().describe(
    'The row that a value makes: an object of columns. Undefined leaves a column to its default, or as it was.',
  ),
  mode: z.enum(['insert', 'upsert']).default('insert').describe('Whether a row with the same key is replaced.'),
  key: z.array(z.string().min(1)).min(1).optional().describe('For upserts: the columns of a unique index.'),
  create: z.string().min(1).optional().describe('The CREATE TABLE statement to run when the table is missing.'),
  batchSize: z.int().min(1).default(500).describe('How many values share a statement; a `Batch` always does.'),
  writers: z
    .int()
    .min(1)
    .default(1)
    .describe('How many statements run at once, outside of a transaction. Upserts always go one at a time, in order.'),
  retries: z.int().min(0).default(3).describe('How often a failed statement is tried again, outside of a transaction.'),
  onError: errorPolicy
    .optional()
    .describe(
      'What becomes of a record whose row the database refuses: `fail`, `dead-letter` (the default), `skip` or `retry({ tiers })`.',
    ),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the sink's name if not given."),
}

/** `keep`: a row stays as it is, and what comes later by its key changes nothing. Not every database can do that. */
type WriteMode = z.output<typeof tableShape.mode> | 'keep'

export type TableSinkOptions = Omit<z.output<z.ZodObject<typeof tableShape>>, 'mode'> & {
  readonly table: string
  readonly mode: WriteMode
}

type Mode = Pick<TableSinkOptions, 'mode' | 'key'>

export const hasKeyToUpsert = ({ mode, key }: Mode): boolean => (mode === 'insert') === (key === undefined)
export const keyFault = { path: ['key'], message: "mode 'upsert' needs `key`, and mode 'insert' takes none" }

/** What a sink of a table promises. */
export function tableGuarantee({ mode }: Mode, joins: boolean) {
  return joins ? 'exactly-once' : mode !== 'insert' ? 'effectively-once' : 'at-least-once'
}
