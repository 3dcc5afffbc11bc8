import { randomUUID } from 'node:crypto'
import { catchError, concat, defer, finalize, ignoreElements, lastValueFrom, type Observable, throwError } from 'rxjs'
import {
  asWeirError,
  type EpochTransaction,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  silentLogger,
  systemClock,
} from '../../src/model/index.js'
import { PostgresCheckpoints } from '../../src/postgres/checkpoints.js'
import type { PostgresConnection } from '../../src/postgres/connection.js'
import { postgresSink } from '../../src/sinks/postgres.js'
import { commitOf, done, one } from './checkpoints.contract.js'
import type { Item, RefusingSink, Rejection } from './sinks.contract.js'

/** A sink at work as the engine has it: in the transaction of its epochs, or on its own. */
export class PostgresSinkHarness {
  readonly rejected: Rejection[] = []
  private readonly name = `test.${randomUUID()}`
  private readonly checkpoints: PostgresCheckpoints
  private task: SinkTask | undefined
  private transaction: EpochTransaction | undefined
  private generation = 0
  private epochs = 0

  constructor(
    readonly connection: PostgresConnection,
    private readonly options: Readonly<Record<string, unknown>>,
    private readonly joins: boolean,
  ) {
    this.checkpoints = new PostgresCheckpoints(connection)
  }

  async open(): Promise<void> {
    await done(this.checkpoints.open())
    const acquired = await lastValueFrom(this.checkpoints.acquire(this.name, [one]))
    this.generation = acquired[0]?.generation ?? 0
    const task = postgresSink.build(postgresSink.options.parse(this.options), this.context)
    await done(task.open?.() ?? concat())
    this.task = task
  }

  /** Writes an epoch and commits it as the next position; an error, or leaving it, rolls both back. */
  epoch(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      const { task } = this
      if (task === undefined) throw new Error('open the harness first')
      const transaction = this.checkpoints.begin()
      this.transaction = this.joins ? transaction : undefined
      return concat(
        defer(() => task.write(records$)),
        defer(() => this.commit(transaction)),
      ).pipe(
        ignoreElements(),
        catchError((error: unknown) =>
          concat(
            transaction.rollback(),
            throwError(() => error),
          ),
        ),
        finalize(() => void done(transaction.rollback())),
      )
    })
  }

  /** The last position that the database knows of. */
  async committed(): Promise<number> {
    const query = 'SELECT position FROM weir_positions WHERE task = $1'
    const rows = await lastValueFrom(this.connection.query<{ position: string | null }>(query, [this.name]))
    return Number(rows[0]?.position ?? 0)
  }

  private commit(transaction: EpochTransaction): Observable<never> {
    const next = ++this.epochs
    const taken = { ...one, generation: this.generation, sequence: 0 }
    return transaction.commit({ task: this.name, partitions: [commitOf(taken, { position: next, sequence: next })] })
  }

  private get context(): SinkContext {
    return {
      app: 'weir-test',
      flow: 'items',
      stage: 'postgres.sink',
      clock: systemClock,
      log: silentLogger,
      connection: () => this.connection as never,
      transaction: () => this.transaction,
      reject: (record, error) => {
        this.rejected.push({ record, error: asWeirError(error) })
      },
    }
  }
}

export interface PostgresSinkSetup {
  readonly connection: PostgresConnection
  readonly options?: Readonly<Record<string, unknown>>
  readonly joins?: boolean
  close(): Promise<void>
}

/** A table of items for the sink contract. */
export async function postgresSinkUnderTest(setup: PostgresSinkSetup): Promise<RefusingSink> {
  const { connection, options = {}, joins = false, close } = setup
  const row = ({ id, text }: Item) => ({ id, text })
  const create = "CREATE TABLE items (id integer PRIMARY KEY, text text CHECK (text <> 'refused'))"
  const harness = new PostgresSinkHarness(connection, { table: 'items', row, create, ...options }, joins)
  await harness.open()
  const query = (text: string) => lastValueFrom(connection.query<{ id: number; text: string }>(text))
  return {
    reset: async () => {
      harness.rejected.length = 0
      await query('TRUNCATE items')
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => query('SELECT id, text FROM items'),
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    close,
  }
}
