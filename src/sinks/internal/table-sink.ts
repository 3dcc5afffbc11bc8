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
import { asWeirError, type SinkContext, type SinkTask, type StreamRecord, WeirError } from '../../model/index.js'
import {
  byShape,
  mergeByKey,
  type PendingRow,
  type Row,
  type SqlConnection,
  SqlTransaction,
  type Table,
} from '../../sql/index.js'
import { gather } from './gather.js'
import type { TableSinkOptions } from './table-options.js'

/** How long a single row may wait for others to share its statement, ms. */
const gatherMs = 20
const firstRetryMs = 100

function isBatch(record: StreamRecord): record is StreamRecord<readonly unknown[]> {
  return Array.isArray(record.value)
}

/** Writes rows of one shape, all or none. */
type Attempt = (rows: readonly Row[]) => Observable<unknown>

/** A sink that writes rows to a table, in the transaction of the epoch or on its own. */

export class TableSink<Client> implements SinkTask {
  private readonly doing: string
  private table: Table<Client> | undefined

  constructor(
    private readonly settings: TableSinkOptions,
    private readonly context: SinkContext,
    private readonly connection: SqlConnection<Client>,
    /** Opens the table; makes it before if it is missing and `create` says how. */
    private readonly openTable: (client: Client) => Promise<Table<Client>>,
  ) {
    this.doing = `writing to table ${settings.table}`
  }

  open(): Observable<never> {
    return this.connection
      .run(async (client) => {
        this.table = await this.openTable(client)
      })
      .pipe(
        catchError((error: unknown) => throwError(() => this.fault(error, `opening table ${this.settings.table}`))),
        ignoreElements(),
      )
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      const transaction = this.context.transaction(this.connection)
      return transaction instanceof SqlTransaction
        ? this.join(records$, transaction as SqlTransaction<Client>)
        : this.writeAlone(records$)
    })
  }

  private join(records$: Observable<StreamRecord>, transaction: SqlTransaction<Client>): Observable<never> {
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
        if (this.connection.faults.of(error) !== 'record') return throwError(() => this.fault(error, this.doing))
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
    const { faults } = this.connection
    const fault = faults.of(error)
    const isTransient = (fault === 'system' || fault === 'connection') && !(error instanceof WeirError)
    if (!isTransient || attempt > this.settings.retries) return throwError(() => error)
    const delayMs = firstRetryMs * 2 ** (attempt - 1)
    this.context.log.warn(`${this.doing}: ${faults.text(error)}; trying again in ${delayMs} ms`)
    return timer(delayMs, this.context.clock.scheduler)
  }

  private refusal(error: unknown): WeirError {
    return new WeirError('WEIR_RECORD_REFUSED', `${this.doing}: ${this.connection.faults.text(error)}`, {
      cause: error,
    })
  }

  private fault(error: unknown, doing: string): WeirError {
    return this.connection.faults.as(error, doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_FAILED')
  }

  private get opened(): Table<Client> {
    if (this.table === undefined) throw new TypeError('the sink is not open')
    return this.table
  }
}
