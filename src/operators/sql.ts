import { catchError, concatMap, defer, EMPTY, map, throwError } from 'rxjs'
import { z } from 'zod'
import {
  asWeirError,
  defineOperator,
  fn,
  type Operator,
  type StreamRecord,
  WeirError,
  wellFormed,
} from '../model/index.js'
import type { SqlReader, SqlRow } from '../sql/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Values<V> = (value: V, record: StreamRecord<V>) => readonly unknown[]

export interface SqlOptions<V> extends RejectingStage {
  /** The parameters of the query, `$1` and so on. Default: none. */
  readonly values?: Values<V>
  /** How many rows it may give. Default 10,000. */
  readonly maxRows?: number
  /** How many bytes their values may have together. Default 16 MiB. */
  readonly maxBytes?: number
}

export const sqlDefinition = defineOperator({
  name: 'sql',
  summary: 'Asks a database, once for each record, and makes the rows its value.',
  connection: 'postgres',
  options: z.strictObject({
    connection: z.string().min(1).describe('The database.'),
    query: z.string().min(1).describe('One statement that only reads.'),
    values: fn<Values<unknown>>()
      .optional()
      .describe('The parameters of the query, `$1` and so on; none if not given.'),
    maxRows: z.int().min(1).default(10_000).describe('How many rows it may give.'),
    maxBytes: z
      .int()
      .min(1)
      .default(16 * 1024 * 1024)
      .describe('How many bytes their values may have together.'),
    ...rejectingStage,
  }),
  detail: ({ connection }) => connection,
  build: ({ connection, query, values, maxRows, maxBytes }, context) => {
    const database = context.connection<SqlReader>('postgres', connection)
    const limits = { maxRows, maxBytes }
    const doing = `asking ${database.address}`
    const rejecting = (record: StreamRecord, error: unknown) => {
      const fault = faultOf(error, database, doing)
      if (fault.culprit !== 'record') return throwError(() => fault)
      context.reject(record, fault)
      return EMPTY
    }
    return concatMap((record) =>
      defer(() => database.read(query, parametersOf(record, values), limits)).pipe(
        map((rows) => record.with(rows)),
        catchError((error: unknown) => rejecting(record, error)),
      ),
    )
  },
})

/**
 * Asks a database for each record, one after the other, and makes the rows its value: objects of columns, as the driver reads
 * them (bigint and numeric as text, times as dates). The query may only read: it runs in a transaction of its own that the
 * database keeps it to, and sees what is committed.
 *
 * A record whose parameters the database refuses, or for which there are more rows or bytes than there may be, is rejected
 * (WEIR_STAGE_FAILED, WEIR_QUERY_TOO_LARGE); by default that ends the epoch. While the database can't be reached the epoch is
 * tried again (WEIR_QUERY_UNREACHABLE), and a statement that is wrong stops the flow (WEIR_CONFIG_INVALID).
 */
export function sql<R extends SqlRow = SqlRow, V = unknown>(
  connection: string,
  query: string,
  options: SqlOptions<V> = {},
): Operator<V, readonly R[]> {
  return sqlDefinition.declare({ ...options, connection, query })
}

/** What `values` makes of a record. Errors: WEIR_STAGE_FAILED with what it throws, and where it makes no parameters. */
function parametersOf(record: StreamRecord, values: Values<unknown> | undefined): readonly unknown[] {
  try {
    const made: unknown = values?.(record.value, record) ?? []
    if (!Array.isArray(made)) throw new TypeError(`\`values\` made a ${typeof made} in place of a list`)
    made.forEach(checkParameter)
    return made as readonly unknown[]
  } catch (error) {
    throw asWeirError(error, 'WEIR_STAGE_FAILED')
  }
}

/** The driver would send what these are called, and for half of a surrogate pair another character. */
function checkParameter(value: unknown): void {
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`a ${typeof value} is no parameter`)
  if (typeof value === 'string') wellFormed(value)
  if (Array.isArray(value)) value.forEach(checkParameter)
}

/** Whose fault it is, as an error that says so: a parameter that can't be sent is the record's. */
function faultOf(error: unknown, { faults }: SqlReader, doing: string): WeirError {
  if (error instanceof WeirError) return error
  if (faults.of(error) === 'record' || error instanceof TypeError || error instanceof RangeError)
    return new WeirError('WEIR_STAGE_FAILED', `${doing}: ${faults.text(error)}`, { cause: error })
  return asWeirError(faults.as(error, doing, 'WEIR_QUERY_UNREACHABLE', 'WEIR_QUERY_UNREACHABLE'))
}
