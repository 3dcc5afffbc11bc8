import { catchError, concat, defer, EMPTY, ignoreElements, mergeMap, type Observable, throwError } from 'rxjs'
import {
  type Connection,
  isPlainObject,
  type MetricReading,
  recordFault,
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
  type Write,
} from '../../sql/index.js'
import { Batches } from './batches.js'
import { retrying } from './retrying.js'
import { TableMeter } from './table-meter.js'
import type { TableSinkOptions } from './table-options.js'

interface Way<Client> extends Runs<Client> {
  /** What stays, whatever becomes of the epoch. */
  readonly beside: Runs<Client>
}

/** How statements get to the database: in the transaction of the epoch, or each on its own. */
interface Runs<Client> {
  run(work: (client: Client) => Promise<unknown>): Observable<unknown>
}

/** What leads to a table. */
export type TableConnection<Client> = Connection & Pick<SqlConnection<Client>, 'faults' | 'run'>

/** A sink that writes rows to a table, in the transaction of the epoch or on its own. */
export class TableSink<Client> implements SinkTask {
  private readonly doing: string
  private readonly batches: Batches<PendingRow>
  private readonly meter = new TableMeter()
  private table: Table<Client> | undefined
  /** Whether the table was looked at again in this epoch, or has to be, for something has failed since it was. */
  private hasLooked = false
  private mustLook = false

  constructor(
    private readonly settings: TableSinkOptions,
    private readonly context: SinkContext,
    private readonly connection: TableConnection<Client>,
    /** Asks what the table is like. */
    private readonly openTable: (client: Client) => Promise<Table<Client>>,
    /** Makes the table if it is missing, as `create` says. */
    private readonly createTable: (client: Client, create: string) => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.doing = `writing to table ${settings.table}`
    this.batches = new Batches(settings, context, this.doing, (record, members, index) => {
      this.meter.took(record)
      return new PendingRow(rowOf(settings.row(record.value as never, record)), members, index)
    })
  }

  open(): Observable<never> {
    const { create } = this.settings
    return this.connection
      .run(async (client) => {
        if (create !== undefined) await this.createTable(client, create)
        this.table = await this.openTable(client)
      })
      .pipe(
        catchError((error: unknown) => throwError(() => this.fault(error, `opening table ${this.settings.table}`))),
        ignoreElements(),
      )
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      this.hasLooked = false
      this.meter.begin()
      const transaction = this.context.transaction(this.connection)
      return transaction instanceof SqlTransaction
        ? this.join(records$, transaction as SqlTransaction<Client>)
        : this.writeAlone(records$)
    })
  }

  committed(): Observable<never> {
    return defer(() => {
      this.meter.committed(this.context.clock.now())
      return EMPTY
    })
  }

  metrics(): readonly MetricReading[] {
    return this.meter.readings()
  }

  private join(records$: Observable<StreamRecord>, transaction: SqlTransaction<Client>): Observable<never> {
    const batches$ = transaction.isExclusive ? this.batches.ofAll(records$) : this.batches.of(records$)
    // Of one session nobody can have a second one.
    const beside = transaction.isExclusive ? transaction : this.connection
    const way: Way<Client> = { run: (work) => transaction.run(work), beside }
    return batches$.pipe(
      // The transaction does one after the other; a second batch is made ready meanwhile.
      mergeMap((batch) => this.writeBatch(batch, way), this.settings.mode === 'upsert' ? 1 : 2),
    )
  }

  private writeAlone(records$: Observable<StreamRecord>): Observable<never> {
    const { mode, writers, retries } = this.settings
    const retry = { retries, doing: this.doing, faults: this.connection.faults, context: this.context }
    const runs: Runs<Client> = { run: (work) => this.connection.run(work).pipe(retrying(retry)) }
    const way: Way<Client> = { ...runs, beside: runs }
    return this.batches
      .of(records$)
      .pipe(mergeMap((batch) => this.writeBatch(batch, way), mode === 'insert' ? writers : 1))
  }

  private writeBatch(batch: readonly PendingRow[], way: Way<Client>): Observable<never> {
    return concat(...this.groupsOf(batch).map((group) => this.writeGroup(group, way)))
  }

  private groupsOf(batch: readonly PendingRow[]): readonly (readonly PendingRow[])[] {
    const key = this.settings.mode === 'keep' ? undefined : (this.settings.key ?? this.opened.key)
    const grouped = (rows: readonly PendingRow[]) => byShape(key === undefined ? rows : mergeByKey(rows, key))
    try {
      return grouped(batch)
    } catch {
      // A field that throws when it is read. Which one, only a look at each row tells.
      return grouped(batch.flatMap((row) => this.settled(row)))
    }
  }

  private settled(row: PendingRow): readonly PendingRow[] {
    try {
      return [row.settled()]
    } catch (error) {
      this.reject(row.record, recordFault(error, this.doing))
      return []
    }
  }

  private writeGroup(group: readonly PendingRow[], way: Way<Client>): Observable<never> {
    const rows = group.map(({ row }) => row)
    const write$ = defer(() => way.run(this.prepared(rows)))
    const looked$ = defer(() => (this.mustLook ? this.lookAgain(way) : EMPTY))
    const ready$ = defer(() => this.madeReady(rows, way))
    return concat(looked$, ready$, write$).pipe(
      ignoreElements(),
      catchError((error: unknown) => {
        if (this.table?.otherwise?.(error) === true) return this.writeGroup(group, way)
        if (this.mayHaveChanged(error))
          return concat(
            this.lookAgain(way),
            defer(() => this.writeGroup(group, way)),
          )
        if (this.isOfRow(error)) return this.writeParts(group, way, error)
        // What failed once is asked anew when it is used again: how much the server takes, whether it takes a COPY.
        this.mustLook = true
        return throwError(() => within(this.fault(error, this.doing), group[0]?.record))
      }),
    )
  }

  private madeReady(rows: readonly Row[], { beside }: Way<Client>): Observable<unknown> {
    const work = this.opened.before?.(rows)
    return work === undefined ? EMPTY : beside.run(work)
  }

  /** What fails without a server does so for its rows. */
  private prepared(rows: readonly Row[]): Write<Client> {
    try {
      return this.opened.prepare(rows)
    } catch (error) {
      throw error instanceof WeirError || error instanceof UnencodableError ? error : new UnencodableError(error)
    }
  }

  private isOfRow(error: unknown): boolean {
    return this.connection.faults.of(error) === 'record' || this.table?.isOfRow?.(error) === true
  }

  /** Whether a refusal may be for a table that somebody has altered since it was looked at. Once an epoch is often enough. */
  private mayHaveChanged(error: unknown): boolean {
    const fault = this.connection.faults.of(error)
    return (fault === 'record' || fault === 'setup') && !this.hasLooked
  }

  /** A table that is gone meanwhile may be made anew: by somebody else, or when the sink is opened again. */
  private lookAgain(way: Way<Client>): Observable<never> {
    this.hasLooked = true
    return way
      .run(async (client) => {
        this.table = await this.openTable(client)
        this.mustLook = false
      })
      .pipe(
        ignoreElements(),
        catchError((error: unknown) => {
          const fault = this.fault(error, `looking at table ${this.settings.table} again`)
          return throwError(() => (fault.remedy === 'stop' ? restarting(fault) : fault))
        }),
      )
  }

  /** After a refusal: tries each half, down to the row that is at fault. */
  private writeParts(group: readonly PendingRow[], way: Way<Client>, error: unknown): Observable<never> {
    const [first] = group
    if (first === undefined) return EMPTY
    if (group.length > 1) {
      const middle = Math.ceil(group.length / 2)
      return concat(...[group.slice(0, middle), group.slice(middle)].map((half) => this.writeGroup(half, way)))
    }
    if (first.merged !== undefined) return concat(...first.merged.map((row) => this.writeGroup([row], way)))
    return defer(() => {
      this.reject(first.record, this.refusal(error))
      return EMPTY
    })
  }

  private reject(record: StreamRecord, error: unknown): void {
    this.meter.refused()
    this.context.reject(record, error)
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

function restarting({ code, message, hint, cause, place }: WeirError): WeirError {
  return new WeirError(code, message, {
    ...place,
    remedy: 'restart',
    cause,
    ...(hint === undefined ? {} : { hint }),
  })
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
