import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  ignoreElements,
  mergeMap,
  type Observable,
  retry,
  throwError,
  timer,
  toArray,
} from 'rxjs'
import { z } from 'zod'
import {
  asWeirError,
  type Configurable,
  defineSink,
  fn,
  rejectionPolicy,
  type Sink,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  WeirError,
} from '../model/index.js'
import type { PostgresConnection } from '../postgres/connection.js'
import { createOnce } from '../postgres/create-once.js'
import { asFault, faultOf, faultText } from '../postgres/faults.js'
import { quotedTable } from '../postgres/identifiers.js'
import { byShape, mergeByKey, type PendingRow } from '../postgres/row-batch.js'
import { type Row, TableWriter } from '../postgres/table-writer.js'
import { PostgresTransaction } from '../postgres/transaction.js'
import { gather } from './internal/gather.js'

/** How long a single row may wait for others to share its statement, ms. */
const gatherMs = 20
const firstRetryMs = 100

const options = z
  .strictObject({
    table: z
      .string()
      .min(1)
      .describe('The table, with its schema if need be: `schema.table`. Spelled as in the catalog.'),
    row: fn<(value: never, record: StreamRecord) => Row>().describe(
      'The row that a value makes: an object of columns. Undefined leaves a column to its default, or as it was.',
    ),
    mode: z.enum(['insert', 'upsert']).default('insert').describe('Whether a row with the same key is replaced.'),
    key: z.array(z.string().min(1)).min(1).optional().describe('For upserts: the columns of a unique index.'),
    create: z.string().min(1).optional().describe('The CREATE TABLE statement to run when the table is missing.'),
    batchSize: z
      .int()
      .min(1)
      .default(500)
      .describe('How many values share a statement; an array of `batch` always does.'),
    copyFrom: z.int().min(1).default(1_000).describe('From how many rows on an insert goes by COPY.'),
    writers: z
      .int()
      .min(1)
      .default(1)
      .describe(
        'How many statements run at once, outside of a transaction. Upserts always go one at a time, in order.',
      ),
    retries: z
      .int()
      .min(0)
      .default(3)
      .describe('How often a failed statement is tried again, outside of a transaction.'),
    onError: rejectionPolicy
      .optional()
      .describe(
        'What becomes of a record whose row the database refuses: `fail`, `dead-letter` (the default) or `skip`.',
      ),
    name: z
      .string()
      .min(1)
      .optional()
      .describe("Names the stage in graphs, logs and metrics; the sink's name if not given."),
    connection: z.string().optional().describe('The Postgres connection, where there are several.'),
  })
  .refine(({ mode, key }) => (mode === 'upsert') === (key !== undefined), {
    path: ['key'],
    message: "mode 'upsert' needs `key`, and `key` needs mode 'upsert'",
  })

type Options = z.output<typeof options>

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
  guarantee: ({ mode }, joins) => (joins ? 'exactly-once' : mode === 'upsert' ? 'effectively-once' : 'at-least-once'),
  transactional: true,
  detail: ({ table }) => table,
  build: (settings, context) => new PostgresSinkTask(settings, context),
})

function isBatch(record: StreamRecord): record is StreamRecord<readonly unknown[]> {
  return Array.isArray(record.value)
}

/** Writes rows of one shape, all or none. */
type Attempt = (rows: readonly Row[]) => Observable<unknown>

class PostgresSinkTask implements SinkTask {
  private readonly connection: PostgresConnection
  private readonly doing: string
  private table: TableWriter | undefined

  constructor(
    private readonly settings: Options,
    private readonly context: SinkContext,
  ) {
    this.connection = context.connection<PostgresConnection>('postgres', settings.connection)
    this.doing = `writing to table ${settings.table}`
  }

  open(): Observable<never> {
    const { table, key, create, copyFrom } = this.settings
    const threshold = this.connection.singleSession ? Number.POSITIVE_INFINITY : copyFrom
    return this.connection
      .run(async (client) => {
        if (create !== undefined) await createOnce(client, create, quotedTable(table))
        this.table = await TableWriter.open(client, { table, key, copyFrom: threshold })
      })
      .pipe(
        catchError((error: unknown) => throwError(() => this.fault(error, `opening table ${table}`))),
        ignoreElements(),
      )
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      const transaction = this.context.transaction(this.connection)
      return transaction instanceof PostgresTransaction ? this.join(records$, transaction) : this.writeAlone(records$)
    })
  }

  private join(records$: Observable<StreamRecord>, transaction: PostgresTransaction): Observable<never> {
    const attempt: Attempt = (rows) => defer(() => transaction.run(this.opened.prepare(rows)))
    const gathered$ = transaction.isExclusive ? records$.pipe(toArray()) : this.gather(records$)
    return gathered$.pipe(
      concatMap((records) => this.batches(records)),
      // The transaction does one after the other; a second batch is made ready meanwhile.
      mergeMap((batch) => this.writeBatch(batch, attempt), this.settings.mode === 'upsert' ? 1 : 2),
    )
  }

  private writeAlone(records$: Observable<StreamRecord>): Observable<never> {
    const attempt: Attempt = (rows) =>
      defer(() => {
        const write = this.opened.prepare(rows)
        return this.connection.run(write).pipe(retry({ delay: this.retryDelay }))
      })
    const { mode, writers } = this.settings
    return this.gather(records$).pipe(
      concatMap((records) => this.batches(records)),
      mergeMap((batch) => this.writeBatch(batch, attempt), mode === 'upsert' ? 1 : writers),
    )
  }

  private gather(records$: Observable<StreamRecord>): Observable<StreamRecord[]> {
    const { batchSize } = this.settings
    const { scheduler } = this.context.clock
    return records$.pipe(gather({ size: batchSize, withinMs: gatherMs, scheduler, isWhole: isBatch }))
  }

  /** Single values in batches of `batchSize`; each array as the one batch that it is. */
  private *batches(records: readonly StreamRecord[]): Generator<readonly PendingRow[]> {
    let batch: PendingRow[] = []
    for (const record of records) {
      const isWhole = isBatch(record)
      if (batch.length > 0 && (isWhole || batch.length >= this.settings.batchSize)) {
        yield batch
        batch = []
      }
      if (isWhole) yield this.rowsOf(record)
      else this.addRow(batch, record)
    }
    if (batch.length > 0) yield batch
  }

  private rowsOf(record: StreamRecord<readonly unknown[]>): PendingRow[] {
    const rows: PendingRow[] = []
    for (const value of record.value) this.addRow(rows, record.with(value))
    return rows
  }

  private addRow(rows: PendingRow[], record: StreamRecord): void {
    try {
      rows.push({ row: this.settings.row(record.value as never, record), record })
    } catch (error) {
      const failure = asWeirError(error, 'WEIR_STAGE_FAILED', { flow: this.context.flow, stage: this.context.stage })
      // A bug of `row` is no fault of the record, unless the flow says what to do about it.
      if (this.settings.onError === undefined) throw failure
      this.context.reject(record, failure)
    }
  }

  private writeBatch(batch: readonly PendingRow[], attempt: Attempt): Observable<never> {
    const { key } = this.settings
    const groups = byShape(key === undefined ? batch : mergeByKey(batch, key))
    return concat(...groups.map((group) => this.writeGroup(group, attempt)))
  }

  private writeGroup(group: readonly PendingRow[], attempt: Attempt): Observable<never> {
    return attempt(group.map(({ row }) => row)).pipe(
      ignoreElements(),
      catchError((error: unknown) => {
        if (faultOf(error) !== 'record') return throwError(() => this.fault(error, this.doing))
        return this.writeParts(group, attempt, error)
      }),
    )
  }

  /** After a refusal: tries each half, down to the row that is at fault. */
  private writeParts(group: readonly PendingRow[], attempt: Attempt, error: unknown): Observable<never> {
    const [first] = group
    if (first === undefined) return EMPTY
    if (group.length > 1) {
      const middle = Math.ceil(group.length / 2)
      return concat(...[group.slice(0, middle), group.slice(middle)].map((half) => this.writeGroup(half, attempt)))
    }
    if (first.merged !== undefined) return concat(...first.merged.map((row) => this.writeGroup([row], attempt)))
    return defer(() => {
      this.context.reject(first.record, this.refusal(error))
      return EMPTY
    })
  }

  private readonly retryDelay = (error: unknown, attempt: number): Observable<unknown> => {
    const fault = faultOf(error)
    const isTransient = (fault === 'system' || fault === 'connection') && !(error instanceof WeirError)
    if (!isTransient || attempt > this.settings.retries) return throwError(() => error)
    const delayMs = firstRetryMs * 2 ** (attempt - 1)
    this.context.log.warn(`${this.doing}: ${faultText(error)}; trying again in ${delayMs} ms`)
    return timer(delayMs, this.context.clock.scheduler)
  }

  private refusal(error: unknown): WeirError {
    return new WeirError('WEIR_RECORD_REFUSED', `${this.doing}: ${faultText(error)}`, { cause: error })
  }

  private fault(error: unknown, doing: string): WeirError {
    return asFault(error, doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_FAILED')
  }

  private get opened(): TableWriter {
    if (this.table === undefined) throw new TypeError('the sink is not open')
    return this.table
  }
}

/** The options of `postgres.sink`, with a `row` that sees the values of the flow. */
export type PostgresSinkOptions<T> = Configurable<Omit<z.input<typeof options>, 'row'>> & {
  /** The row that a value makes: an object of columns. */
  readonly row: (value: T, record: StreamRecord<T>) => Row
}

/** Writes a flow's values, or each value of the arrays that `batch` makes, as rows of a table. */
export function sink<T>(options: PostgresSinkOptions<T>): Sink<T | readonly T[]> {
  return postgresSink.declare(options)
}
