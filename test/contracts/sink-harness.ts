import { randomUUID } from 'node:crypto'
import {
  catchError,
  concat,
  defer,
  finalize,
  ignoreElements,
  lastValueFrom,
  NEVER,
  type Observable,
  throwError,
} from 'rxjs'
import {
  type CheckpointStore,
  type Connection,
  type EpochTransaction,
  type SinkContext,
  type SinkDefinition,
  type SinkTask,
  type StreamRecord,
  silentLogger,
  systemClock,
} from '../../src/model/index.js'
import { MemoryViews } from '../../src/state/index.js'
import { MarbleTime } from '../../src/testing/marble-time.js'
import { commitOf, done, one } from './checkpoints.contract.js'
import { Rejecting } from './rejecting.js'
import type { Rejection } from './sinks.contract.js'

export interface HarnessParts {
  readonly definition: SinkDefinition
  readonly connection: Connection
  /** Keeps the checkpoints, on the same connection. */
  readonly checkpoints: CheckpointStore
  readonly options: Readonly<Record<string, unknown>>
  /** Whether the sink writes in the transaction of the epoch. */
  readonly joins: boolean
}

/** A sink at work as the engine has it: in the transaction of its epochs, or on its own. */
export class SinkHarness {
  readonly rejecting = new Rejecting()
  private readonly name = `test.${randomUUID()}`
  private task: SinkTask | undefined
  private transaction: EpochTransaction | undefined
  private generation = 0
  private epochs = 0

  constructor(private readonly parts: HarnessParts) {}

  get rejected(): Rejection[] {
    return this.rejecting.rejected
  }

  async open(): Promise<void> {
    const { definition, options, checkpoints } = this.parts
    await done(checkpoints.open())
    await this.committed()
    const task = definition.build(definition.options.parse(options), this.context)
    await done(task.open?.() ?? concat())
    this.task = task
  }

  /** Writes an epoch and commits it as the next position; an error, or leaving it, rolls both back. */
  epoch(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      const { task } = this
      if (task === undefined) throw new Error('open the harness first')
      const transaction = this.parts.checkpoints.begin()
      this.transaction = this.parts.joins ? transaction : undefined
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

  /** The last position that the database knows of; the harness goes on as the next generation. */
  async committed(): Promise<number> {
    const acquired = await lastValueFrom(this.parts.checkpoints.acquire(this.name, [one]))
    this.generation = acquired[0]?.generation ?? 0
    return acquired[0]?.progress?.position ?? 0
  }

  private commit(transaction: EpochTransaction): Observable<never> {
    const next = ++this.epochs
    const taken = { ...one, generation: this.generation, sequence: 0 }
    return transaction.commit({ task: this.name, partitions: [commitOf(taken, { position: next, sequence: next })] })
  }

  private get context(): SinkContext {
    const { definition, connection } = this.parts
    return {
      app: 'weir-test',
      flow: 'items',
      stage: definition.name,
      clock: systemClock,
      log: silentLogger,
      connection: () => connection as never,
      time: new MarbleTime(),
      http: { serve: () => NEVER },
      dataDirectory: '.',
      store: () => {
        throw new Error('the harness keeps no stores')
      },
      views: new MemoryViews(),
      transaction: () => this.transaction,
      reject: this.rejecting.reject,
    }
  }
}
