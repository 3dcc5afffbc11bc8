import { z } from 'zod'
import { type Batch, type Configurable, defineSink, type Sink, type StreamRecord } from '../model/index.js'
import { addColumns } from '../postgres/add-columns.js'
import type { PostgresConnection } from '../postgres/connection.js'
import { createOnce } from '../postgres/create-once.js'
import { quotedTable } from '../postgres/identifiers.js'
import { TableWriter } from '../postgres/table-writer.js'
import type { Row } from '../sql/index.js'
import { tableMetrics } from './internal/table-meter.js'
import { hasKeyToUpsert, keyFault, tableGuarantee, tableShape } from './internal/table-options.js'
import { TableSink } from './internal/table-sink.js'

const options = z
  .strictObject({
    table: z
      .string()
      .min(1)
      .describe('The table, with its schema if need be: `schema.table`. Spelled as in the catalog.'),
    ...tableShape,
    mode: z
      .enum(['insert', 'upsert', 'keep'])
      .default('insert')
      .describe(
        'What becomes of a row whose key is there already: `insert` lets the database refuse it, `upsert` replaces the old row, `keep` leaves that as it is.',
      ),
    key: tableShape.key.describe('For `upsert` and `keep`: the columns of a unique index.'),
    columns: z
      .record(z.string().min(1), z.string().min(1))
      .optional()
      .describe(
        'Columns that are added to a table which lacks them, each with its type as in CREATE TABLE. Nothing else of a table is changed.',
      ),
    days: z
      .union([z.string().min(1), z.literal(false)], 'expected a column, or false')
      .default(false)
      .describe(
        'The column by which the table is partitioned by range, a partition for each day in UTC: those that are missing are made, up to two days ahead of the clock. `false` makes none.',
      ),
    copyFrom: z.int().min(1).default(1_000).describe('From how many rows on an insert goes by COPY.'),
    connection: z.string().optional().describe('The Postgres connection, where there are several.'),
  })
  .refine(hasKeyToUpsert, keyFault)

/**
 * Writes rows, in the transaction that commits the flow's positions and stores when those are kept in the same
 * database. Rows that it refuses are found by halving their batch, and rejected; the others are written.
 */
export const postgresSink = defineSink({
  name: 'postgres.sink',
  summary: 'Writes rows to a PostgreSQL table.',
  connection: 'postgres',
  options,
  onError: 'dead-letter',
  guarantee: tableGuarantee,
  transactional: true,
  metrics: tableMetrics,
  detail: ({ table }) => table,
  build: (settings, context) => {
    const connection = context.connection<PostgresConnection>('postgres', settings.connection)
    const { table, key, mode, columns = {} } = settings
    const copyFrom = connection.singleSession ? Number.POSITIVE_INFINITY : settings.copyFrom
    const days = settings.days === false ? undefined : { column: settings.days, clock: context.clock }
    return new TableSink(
      settings,
      context,
      connection,
      async (client) => {
        await addColumns(client, table, columns)
        return TableWriter.open(client, { table, key, keeps: mode === 'keep', copyFrom, days })
      },
      (client, create) => createOnce(client, create, quotedTable(table)),
    )
  },
})

/** The options of `postgres.sink`, with a `row` that sees the values of the flow. */
export type PostgresSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'row'>> & {
  /** The row that a value makes: an object of columns. */
  readonly row: (value: T, record: StreamRecord<T>) => Row
}

/** Writes a flow's values, or each of the values that `batch` gathered, as rows of a table. */
export function sink<T>(options: PostgresSinkOptions<T>): Sink<T | Batch<T>> {
  return postgresSink.declare(options)
}
