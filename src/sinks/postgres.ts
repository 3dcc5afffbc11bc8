import { z } from 'zod'
import { type Batch, type Configurable, defineSink, type Sink, type StreamRecord } from '../model/index.js'
import type { PostgresConnection } from '../postgres/connection.js'
import { createOnce } from '../postgres/create-once.js'
import { quotedTable } from '../postgres/identifiers.js'
import { TableWriter } from '../postgres/table-writer.js'
import type { Row } from '../sql/index.js'
import { hasKeyToUpsert, keyFault, tableGuarantee, tableShape } from './internal/table-options.js'
import { TableSink } from './internal/table-sink.js'

const options = z
  .strictObject({
    table: z
      .string()
      .min(1)
      .describe('The table, with its schema if need be: `schema.table`. Spelled as in the catalog.'),
    ...tableShape,
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
  detail: ({ table }) => table,
  build: (settings, context) => {
    const connection = context.connection<PostgresConnection>('postgres', settings.connection)
    const { table, key } = settings
    const copyFrom = connection.singleSession ? Number.POSITIVE_INFINITY : settings.copyFrom
    return new TableSink(
      settings,
      context,
      connection,
      (client) => TableWriter.open(client, { table, key, copyFrom }),
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
