import { catchError, defer, EMPTY, ignoreElements, type Observable, tap, throwError } from 'rxjs'
import { type EpochCommit, type EpochTransaction, messageOf, WeirError } from '../model/index.js'
import { writeCommit } from './checkpoint-scripts.js'
import type { RedisConnection } from './connection.js'
import { failing, isOfKeys } from './faults.js'
import type { KnownProgress } from './known-progress.js'
import type { RedisCommand } from './write-plan.js'

/** The transaction of an epoch: what joins it is gathered, and goes to the server with the commit, as one script. */
export class RedisTransaction implements EpochTransaction {
  private isOver = false
  private readonly joined: RedisCommand[] = []
  /** Whether a script was refused for one of its keys: then the server is asked about each before it joins. */
  readonly isCareful: boolean

  constructor(
    private readonly connection: RedisConnection,
    private readonly known: KnownProgress,
    private readonly task = '',
    private readonly careful = new Set<string>(),
  ) {
    this.isCareful = careful.has(task)
  }

  /**
   * Adds a write to the epoch. It must be one that can't fail for what it says, as SET can't, nor any command on a key
   * of its type, which it therefore names: nothing of the epoch is written when a key is of another one. At any other
   * failure the script would end there, without positions, and the epoch be written again.
   * Errors: WEIR_CHECKPOINT_UNREACHABLE when the epoch is over.
   */
  join(command: RedisCommand): void {
    if (this.isOver) throw overError('joining an epoch')
    this.joined.push(command)
  }

  /** When the connection is lost meanwhile, it errs without knowing what became of the epoch: read the positions. */
  commit(commit: EpochCommit): Observable<never> {
    const doing = `committing an epoch of '${commit.task}'`
    return defer(() => {
      if (this.isOver) throw overError(doing)
      this.isOver = true
      return this.connection.run((client) => writeCommit(client, commit, this.joined, this.known))
    }).pipe(
      ignoreElements(),
      tap({ complete: () => this.careful.delete(this.task) }),
      catchError((error: unknown) => throwError(() => this.searching(error, doing))),
      failing(doing),
    )
  }

  private searching(error: unknown, doing: string): unknown {
    if (this.isCareful || !isOfKeys(error)) return error
    this.careful.add(this.task)
    const hint = 'Each key is asked about, to find it.'
    return new WeirError('WEIR_RECORD_REFUSED', `${doing}: ${messageOf(error)}`, { hint, atOnce: true, cause: error })
  }

  rollback(): Observable<never> {
    return defer(() => {
      this.isOver = true
      return EMPTY
    })
  }
}

function overError(doing: string): WeirError {
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${doing}: it is over`, {
    hint: 'An earlier error ended it; the epoch is tried again.',
  })
}
