import { z } from 'zod'
import { type Batch, type Configurable, defineSink, type Sink, type StreamRecord } from '../model/index.js'
import type { MysqlConnection } from '../mysql/connection.js'
import { createOnce } from '../mysql/create-once.js'
import { TableWriter } from '../mysql/table-writer.js'
import type { Row } from '../sql/index.js'
import { tableMetrics } from './internal/table-meter.js'
import { hasKeyToUpsert, keyFault, tableGuarantee, tableShape } from './internal/table-options.js'
import { TableSink } from './internal/table-sink.js'

const options = z
  .strictObject({
    table: z.string().min(1).describe('The table, with its database if need be: `database.table`.'),
    ...tableShape,
    connection: z.string().optional().describe('The MySQL connection, where there are several.'),
  })
  .refine(hasKeyToUpsert, keyFault)

/**
 * Writes rows, in the transaction that commits the flow's positions and stores when those are kept in the same
 * database. Rows that it refuses are found by halving their batch, and rejected; the others are written.
 */
export const mysqlSink = defineSink({
  name: 'mysql.sink',
  summary: 'Writes rows to a MySQL or MariaDB table.',
  connection: 'mysql',
  options,
  onError: 'dead-letter',
  guarantee: tableGuarantee,
  transactional: true,
  metrics: tableMetrics,
  detail: ({ table }) => table,
  build: (settings, context) => {
    const { table, key } = settings
    const connection = context.connection<MysqlConnection>('mysql', settings.connection)
    return new TableSink(
      settings,
      context,
      connection,
      (client) => TableWriter.open(client, { table, key }),
      (client, create) => createOnce(client, create, table),
    )
  },
})

/** The options of `mysql.sink`, with a `row` that sees the values of the flow. */
export type MysqlSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'row'>> & {
  /** The row that a value makes: an object of columns. */
  readonly row: (value: T, record: StreamRecord<T>) => Row
}

/**
 * Writes a flow's values, or each of the values that `batch` gathered, as rows of a table. A row also replaces one
 * with which it shares any other unique index than `key`: so does MySQL.
 */
export function sink<T>(options: MysqlSinkOptions<T>): Sink<T | Batch<T>> {
  return mysqlSink.declare(options)
}
