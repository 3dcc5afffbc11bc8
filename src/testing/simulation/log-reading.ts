import { concat, concatMap, defer, forkJoin, map, Observable, of, throwError } from 'rxjs'
import { type Position, partitionName, WeirError } from '../../model/index.js'
import type { Read } from '../../state/checkpoint-protocol/index.js'
import type { TransactionServer } from './transactions.js'
import type { Actor } from './world.js'

/** How a task of a process reaches the brokers. */
export interface Access {
  readonly server: TransactionServer
  readonly actor: Actor
  /** The task. */
  readonly name: string
  ask<T>(what: string, execute: () => T, repeatable?: boolean): Observable<T>
}

/** How many entries an answer has at the most. */
const most = 5
const pollMs = 50
/** How long a log that has more to read may bring nothing, ms. */
const stallMs = 20_000
/** Reads logs for one request, each from where it is. */
export class LogReading {
  private positions: Position[] = []
  private readonly ended = new Set<string>()
  private progressAt = 0

  constructor(private readonly task: Access) {}

  seek(positions: readonly Position[]): Observable<Read> {
    return defer(() => {
      this.positions = [...positions]
      this.ended.clear()
      return this.read()
    })
  }

  /** Until entries have come, or a log has come to its end. */
  read(): Observable<Read> {
    return defer(() => {
      this.progressAt = this.now
      return this.poll()
    })
  }

  private poll(): Observable<Read> {
    const { server, name } = this.task
    const ended = this.ended.size
    const answers = this.positions.map((position, index) =>
      this.task
        .ask(`read of the log of ${partitionName(position)}@${position.offset}`, () =>
          server.read(name, position, most),
        )
        .pipe(
          map(({ entries, next, isEnd }) => {
            this.positions[index] = { ...position, offset: next }
            if (isEnd) this.ended.add(partitionName(position))
            return entries
          }),
        ),
    )
    return forkJoin(answers).pipe(
      concatMap((read): Observable<Read> => {
        const entries = read.flat()
        const hasEnded = this.ended.size === this.positions.length
        if (entries.length > 0 || this.ended.size > ended) return of({ on: 'read', entries, hasEnded })
        if (this.now - this.progressAt > stallMs) return throwError(() => stalled())
        return concat(
          this.pause(),
          defer(() => this.poll()),
        )
      }),
    )
  }

  private pause(): Observable<never> {
    return new Observable((out) => out.add(this.task.actor.after(pollMs, () => out.complete())))
  }

  private get now(): number {
    return this.task.server.cluster.world.now
  }
}

function stalled(): WeirError {
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `reading checkpoints: nothing came for ${stallMs / 1_000} s`)
}
