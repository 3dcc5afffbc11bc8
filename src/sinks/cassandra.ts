import { z } from 'zod'
import type { CassandraConnection } from '../cassandra/connection.js'
import { createOnce } from '../cassandra/create-once.js'
import { consistency } from '../cassandra/options.js'
import { TableWriter } from '../cassandra/table-writer.js'
import { type Batch, type Configurable, defineSink, type Sink, type StreamRecord } from '../model/index.js'
import type { Row } from '../sql/index.js'
import { tableMetrics } from './internal/table-meter.js'
import { tableShape } from './internal/table-options.js'
import { TableSink } from './internal/table-sink.js'

const { row, create, retries, onError, name } = tableShape

const options = z.strictObject({
  table: z
    .string()
    .min(1)
    .describe('The table, with its keyspace if need be: `keyspace.table`. Spelled as in the catalog.'),
  row,
  create,
  batchSize: z
    .int()
    .min(1)
    .default(1_000)
    .describe('How many values are written together, those of a partition in one statement; a `Batch` always is.'),
  writers: z.int().min(1).default(32).describe('To how many partitions is written at once.'),
  consistency: consistency
    .optional()
    .describe('How many replicas have to confirm a write. Default: what the connection says.'),
  retries,
  onError,
  connection: z.string().optional().describe('The Cassandra connection, where there are several.'),
  name,
})

/**
 * Writes rows, each in the place of the one with the same primary key: a replay writes the same rows again. Cassandra
 * keeps of two writes to a column the one with the later time, so the clocks of the machines that take over from each
 * other have to agree.
 */
export const cassandraSink = defineSink({
  name: 'cassandra.sink',
  summary: 'Writes rows to a Cassandra table, by primary key.',
  connection: 'cassandra',
  options,
  onError: 'dead-letter',
  guarantee: () => 'effectively-once',
  metrics: tableMetrics,
  detail: ({ table }) => table,
  build: (settings, context) => {
    const connection = context.connection<CassandraConnection>('cassandra', settings.connection)
    const { table, consistency, writers } = settings
    return new TableSink(
      { ...settings, mode: 'upsert' },
      context,
      connection,
      (client) => TableWriter.open(client, { table, consistency, writers }),
      (client, create) => createOnce(client, create, table),
    )
  },
})

/** The options of `cassandra.sink`, with a `row` that sees the values of the flow. */
export type CassandraSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'row'>> & {
  /** The row that a value makes: an object of columns. Null removes what a column has. */
  readonly row: (value: T, record: StreamRecord<T>) => Row
}

/** Writes a flow's values, or each of the values that `batch` gathered, as rows of a table. */
export function sink<T>(options: CassandraSinkOptions<T>): Sink<T | Batch<T>> {
  return cassandraSink.declare(options)
}
