import { catchError, defer, EMPTY, ignoreElements, type Observable, tap } from 'rxjs'
import { asWeirError, type EpochCommit, partitionName, type WeirError } from '../../model/index.js'
import type { Access } from './log-reading.js'
import type { Speaker, Write } from './transactions.js'

/**
 * A producer under a transactional id. After an error nobody knows what became of what was asked, so it is of no more use:
 * the next one of the id aborts what is open, and refuses what is still on its way.
 */
export class TransactionalProducer {
  failure: WeirError | undefined
  private begun = 0
  private sequence = 0

  constructor(
    private readonly task: Access,
    private readonly speaker: Speaker,
  ) {}

  /** The number of the next transaction. */
  begin(): number {
    return ++this.begun
  }

  write(transaction: number, what: string, content: Pick<Write, 'results' | 'entries'>) {
    return defer(() => {
      const { server, name } = this.task
      const sequence = ++this.sequence
      return this.ask(
        `write of ${what} in transaction ${transaction} of ${this.speaker.id}`,
        () => server.write(this.speaker, name, { transaction, sequence, ...content }),
        true,
      )
    })
  }

  commit(transaction: number, commit: EpochCommit): Observable<never> {
    const places = commit.partitions.map((one) => `${partitionName(one)}@${one.progress.position}`).join(', ')
    const what = `commit of transaction ${transaction} of ${this.speaker.id}, ${places}`
    const { server, actor } = this.task
    return this.ask(what, () => server.commit(actor, this.speaker, transaction, commit))
  }

  /** Never fails: a producer that can't abort is made anew, which aborts as well. */
  abort(transaction: number): Observable<never> {
    return defer(() => {
      if (this.failure !== undefined) return EMPTY
      const what = `abort of transaction ${transaction} of ${this.speaker.id}`
      return this.ask(what, () => this.task.server.abort(this.speaker, transaction)).pipe(catchError(() => EMPTY))
    })
  }

  private ask(what: string, execute: () => void, repeatable = false): Observable<never> {
    return defer(() => {
      if (this.failure !== undefined) throw this.failure
      return this.task.ask(what, execute, repeatable)
    }).pipe(tap({ error: (error: unknown) => (this.failure ??= asWeirError(error)) }), ignoreElements())
  }
}
