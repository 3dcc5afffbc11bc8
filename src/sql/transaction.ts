import { defer, EMPTY, from, ignoreElements, type Observable } from 'rxjs'
import { type EpochCommit, type EpochTransaction, WeirError } from '../model/index.js'
import type { SqlConnection } from './connection.js'
import type { Lease } from './leases.js'

/** The statements of an epoch's transaction. */
export interface EpochDialect<Client> {
  /**
   * Begins the transaction, or goes on with it when it is not the first work in it, at a savepoint. A careful one has nothing
   * looked at when it is committed that can be looked at before.
   */
  begin(client: Client, isFirst: boolean, isCareful: boolean): Promise<unknown>
  /** Goes back to the savepoint. */
  back(client: Client): Promise<unknown>
  /** Whether the transaction is still there, and holds what came before, after work in it failed so. */
  survives(error: unknown): boolean
  rollback(client: Client): Promise<unknown>
  /** Does nothing, so that the server hears of an open transaction. */
  ping(client: Client): Promise<unknown>
  /**
   * Writes a commit and makes it durable, with the transaction that is open or as one of its own.
   * Errors: WEIR_CHECKPOINT_FENCED, with nothing of it written.
   */
  commit(client: Client, commit: EpochCommit, isOpen: boolean): Promise<unknown>
}

/**
 *   idle ──► open ──► over
 *     └────────────────▲
 *
 * `idle` holds nothing; the first work that joins takes a client and begins; commit, rollback and a lost connection
 * end it.
 */
type State = 'idle' | 'open' | 'over'

/** The tasks whose commits were refused for what their rows are, and not yet found which. */
export type CarefulTasks = Set<string>

/** The transaction of an epoch, on one client. What joins it runs one after the other. */
export class SqlTransaction<Client> implements EpochTransaction {
  private state: State = 'idle'
  private lease: Lease<Client> | undefined
  private isBusy = false
  private readonly isCareful: boolean
  /** Whether it has refused any work for what its rows are. */
  private hasRefused = false
  private pinging: NodeJS.Timeout | undefined
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly connection: SqlConnection<Client>,
    private readonly dialect: EpochDialect<Client>,
    private readonly task = '',
    private readonly careful: CarefulTasks = new Set(),
  ) {
    this.isCareful = careful.has(task)
  }

  /**
   * Whether other tasks wait while this transaction is open, because the server has one session: then gather the work
   * of the epoch, and join when it is complete.
   */
  get isExclusive(): boolean {
    return this.connection.singleSession
  }

  /**
   * Runs work in the transaction; it must use no other client. Work that fails leaves nothing behind, and the
   * transaction goes on.
   * Errors: what the work threw; WEIR_CHECKPOINT_UNREACHABLE when the connection is lost.
   */
  run<T>(work: (client: Client) => Promise<T>): Observable<T> {
    return defer(() => this.inTurn(() => this.attempt(work)))
  }

  /** When the connection is lost meanwhile, it errs without knowing what became of the epoch: read the positions. */
  commit(commit: EpochCommit): Observable<never> {
    return defer(() => this.inTurn(() => this.finish(commit))).pipe(ignoreElements())
  }

  rollback(): Observable<never> {
    return defer(() => {
      // What runs may wait for a lock or a dead network. The embedded server never does, but must not lose its client
      // in the middle of a statement.
      if (!this.isBusy || this.isExclusive) return from(this.after(() => this.undo())).pipe(ignoreElements())
      this.end('destroy')
      return EMPTY
    })
  }

  private async attempt<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.guarded(() => this.begin())
    try {
      return await work(client)
    } catch (error) {
      await this.guarded(() => this.back(client, error))
      this.hasRefused ||= this.connection.faults.of(error) === 'record'
      throw error
    }
  }

  private async begin(): Promise<Client> {
    const isFirst = this.state === 'idle'
    const client = await this.take()
    await this.dialect.begin(client, isFirst, this.isCareful)
    return client
  }

  private async back(client: Client, error: unknown): Promise<void> {
    if (!this.dialect.survives(error)) throw error
    await this.dialect.back(client)
  }

  /** In the open transaction, or, when nothing has joined, as a statement that is its own. */
  private async finish(commit: EpochCommit): Promise<void> {
    const isOpen = this.state === 'open'
    const doing = `committing an epoch of '${commit.task}'`
    const client = await this.guarded(() => this.take(), doing)
    try {
      await this.dialect.commit(client, commit, isOpen)
      this.end('keep')
      if (this.hasRefused) this.careful.delete(this.task)
    } catch (error) {
      const fault = this.connection.faults.of(error)
      await this.undo(fault === 'connection')
      if (fault === 'record' && !this.isCareful) throw this.searching(error, doing)
      throw this.connection.faults.asCheckpointFault(error, doing)
    }
  }

  /** What is looked at only in the end says nothing of which row it was: the next try has each looked at as it is written. */
  private searching(error: unknown, doing: string): WeirError {
    this.careful.add(this.task)
    return new WeirError('WEIR_RECORD_REFUSED', `${doing}: ${this.connection.faults.text(error)}`, {
      hint: 'What is deferred is looked at row by row, to find it.',
      atOnce: true,
      cause: error,
    })
  }

  private async take(): Promise<Client> {
    if (this.lease !== undefined) return this.lease.client
    const lease = await this.connection.lease()
    if (this.isOver()) {
      lease.release('keep')
      throw overError()
    }
    this.lease = lease
    this.state = 'open'
    this.keepAlive(lease.client)
    return lease.client
  }

  private keepAlive(client: Client): void {
    const { idleLimitMs } = this.connection
    if (idleLimitMs === 0) return
    this.pinging = setInterval(() => {
      // A connection that is lost shows in the next statement.
      if (!this.isBusy) this.inTurn(() => this.dialect.ping(client)).catch(() => undefined)
    }, idleLimitMs / 3)
    this.pinging.unref()
  }

  private async undo(isLost = false): Promise<void> {
    if (isLost) return this.end('destroy')
    try {
      if (this.lease !== undefined) await this.dialect.rollback(this.lease.client)
      this.end('keep')
    } catch {
      this.end('destroy')
    }
  }

  private end(fate: 'keep' | 'destroy'): void {
    this.state = 'over'
    clearInterval(this.pinging)
    this.lease?.release(fate)
    this.lease = undefined
  }

  /** Runs what the transaction can't survive the failure of. */
  private async guarded<T>(step: () => Promise<T>, doing = 'writing in the transaction of an epoch'): Promise<T> {
    try {
      return await step()
    } catch (error) {
      this.end('destroy')
      throw this.connection.faults.asCheckpointFault(error, doing)
    }
  }

  private inTurn<T>(step: () => Promise<T>): Promise<T> {
    return this.after(async () => {
      if (this.isOver()) throw overError()
      this.isBusy = true
      try {
        return await step()
      } finally {
        this.isBusy = false
      }
    })
  }

  private after<T>(step: () => Promise<T>): Promise<T> {
    const result = this.last.then(step)
    this.last = result.catch(() => undefined)
    return result
  }

  private isOver(): boolean {
    return this.state === 'over'
  }
}

function overError(): WeirError {
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'using the transaction of an epoch: it is over', {
    hint: 'An earlier error ended it; the epoch is tried again.',
  })
}
