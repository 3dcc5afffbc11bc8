import { catchError, concat, defer, EMPTY, ignoreElements, mergeMap, type Observable, throwError } from 'rxjs'
import {
  type Connection,
  isPlainObject,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  UnencodableError,
  WeirError,
  within,
} from '../../model/index.js'
import {
  byShape,
  mergeByKey,
  PendingRow,
  type Row,
  type SqlConnection,
  SqlTransaction,
  type Table,
} from '../../sql/index.js'
import { Batches } from './batches.js'
import { retrying } from './retrying.js'
import type { TableSinkOptions } from './table-options.js'

/** Writes rows of one shape, all or none. */
type Attempt = (rows: readonly Row[]) => Observable<unknown>

/** What leads to a table. */
export type TableConnection<Client> = Connection & Pick<SqlConnection<Client>, 'faults' | 'run'>

/** A sink that writes rows to a table, in the transaction of the epoch or on its own. */
export class TableSink<Client> implements SinkTask {
  private readonly doing: string
  private readonly batches: Batches<PendingRow>
  private table: Table<Client> | undefined

  constructor(
    private readonly settings: TableSinkOptions,
    private readonly context: SinkContext,
    private readonly connection: TableConnection<Client>,
    /** Opens the table; makes it before if it is missing and `create` says how. */
    private readonly openTable: (client: Client) => Promise<Table<Client>>,
  ) {
    this.doing = `writing to table ${settings.table}`
    this.batches = new Batches(settings, context, this.doing, (record, members, index) => {
      return new PendingRow(rowOf(settings.row(record.value as never, record)), members, index)
    })
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
    const batches$ = transaction.isExclusive ? this.batches.ofAll(records$) : this.batches.of(records$)
    return batches$.pipe(
      // The transaction does one after the other; a second batch is made ready meanwhile.
      mergeMap((batch) => this.writeBatch(batch, attempt), this.settings.mode === 'upsert' ? 1 : 2),
    )
  }

  private writeAlone(records$: Observable<StreamRecord>): Observable<never> {
    const { mode, writers, retries } = this.settings
    const retry = { retries, doing: this.doing, faults: this.connection.faults, context: this.context }
    const attempt: Attempt = (rows) =>
      defer(() => {
        const write = this.opened.prepare(rows)
        return this.connection.run(write).pipe(retrying(retry))
      })
    return this.batches
      .of(records$)
      .pipe(mergeMap((batch) => this.writeBatch(batch, attempt), mode === 'upsert' ? 1 : writers))
  }

  private writeBatch(batch: readonly PendingRow[], attempt: Attempt): Observable<never> {
    const key = this.settings.key ?? this.opened.key
    const groups = byShape(key === undefined ? batch : mergeByKey(batch, key))
    return concat(...groups.map((group) => this.writeGroup(group, attempt)))
  }

  private writeGroup(group: readonly PendingRow[], attempt: Attempt): Observable<never> {
    return attempt(group.map(({ row }) => row)).pipe(
      ignoreElements(),
      catchError((error: unknown) => {
        if (this.connection.faults.of(error) !== 'record')
          return throwError(() => within(this.fault(error, this.doing), group[0]?.record))
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

/** Whatever `row` returns. Errors: `UnencodableError` when it is no row: a promise, a Map and the like have no columns. */
function rowOf(made: unknown): Row {
  if (typeof made === 'object' && made !== null && !Array.isArray(made) && isOfColumns(made)) return made as Row
  throw new UnencodableError(new TypeError(`\`row\` made ${made === null ? 'null' : `a ${nameOf(made)}`} and no row`))
}

function isOfColumns(made: object): boolean {
  for (const _ in made) return true
  return isPlainObject(made)
}

function nameOf(made: unknown): string {
  return typeof made === 'object' ? (made?.constructor.name ?? 'object') : typeof made
}
