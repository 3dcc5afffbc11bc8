import { concat, defer, EMPTY, ignoreElements, Observable, type Subscription } from 'rxjs'
import {
  Batch,
  type Connection,
  type DeadLetter,
  type DeadLetterSink,
  type EpochTransaction,
  recordFault,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  WeirError,
} from '../../model/index.js'
import type { Joined } from './checkpoints.js'
import type { Judge } from './judge.js'
import type { Link } from './link.js'
import type { Actor } from './world.js'

/** How a process reaches the system that it writes to. */
export interface Outlet {
  readonly link: Link
  readonly actor: Actor
  readonly judge: Judge
  readonly refuses?: ((value: unknown) => boolean) | undefined
}

/** How likely a sink has something to ask for before it can be written to. */
const opensLate = 0.3

/**
 * Writes values in order, one request after the other, each with what has come meanwhile: in the transaction of the
 * checkpoints where there is one, else at least once. Now and then it subscribes late, as one does that connects anew or
 * waits for a transaction to begin.
 */
export class SimulatedSink implements SinkTask {
  constructor(
    private readonly outlet: Outlet,
    private readonly context: SinkContext,
    private readonly connection: Connection,
  ) {}

  open(): Observable<never> {
    return this.ready()
  }

  write(records$: Observable<StreamRecord>): Observable<unknown> {
    return concat(this.ready(), this.writing(records$))
  }

  private writing(records$: Observable<StreamRecord>): Observable<never> {
    return new Observable<never>((out) => {
      const transaction = this.context.transaction(this.connection)
      const write = (values: readonly unknown[]) =>
        isJoined(transaction) ? transaction.insert(values, this.context.stage) : this.send(values)
      let waiting: unknown[] = []
      let isEnding = false
      let request: Subscription | undefined
      const next = () => {
        if (waiting.length === 0) {
          request = undefined
          if (isEnding) out.complete()
          return
        }
        const values = waiting
        waiting = []
        request = write(values).subscribe({ error: (error: unknown) => out.error(error), complete: next })
        out.add(request)
      }
      out.add(
        records$.subscribe({
          next: (record) => {
            const records = record.value instanceof Batch ? (record.value as Batch).records : [record]
            for (const one of records) if (!this.isRefused(one)) waiting.push(one.value)
            if (request === undefined) next()
          },
          error: (error: unknown) => out.error(error),
          complete: () => {
            isEnding = true
            if (request === undefined) next()
          },
        }),
      )
    })
  }

  private isRefused(record: StreamRecord): boolean {
    try {
      if (this.outlet.refuses?.(record.value) !== true) return false
      this.context.reject(record, new WeirError('WEIR_RECORD_REFUSED', 'writing: the server does not take it'))
    } catch (error) {
      this.context.reject(record, recordFault(error, 'writing'))
    }
    return true
  }

  private ready(): Observable<never> {
    return defer(() => {
      const { link, actor } = this.outlet
      if (!actor.world.random.chance(opensLate)) return EMPTY
      const what = `opening ${this.context.stage}`
      const unanswered = (why: string) => new WeirError('WEIR_SINK_UNREACHABLE', `${what}: ${why}`)
      return link.request(actor, { what, execute: () => undefined, unanswered, repeatable: true })
    }).pipe(ignoreElements())
  }

  private send(values: readonly unknown[]): Observable<unknown> {
    const { link, actor, judge } = this.outlet
    return link.request(actor, {
      what: `write of ${values.length}`,
      execute: () => {
        for (const value of values) judge.effect(actor.name, value, false)
      },
      unanswered: (why) => new WeirError('WEIR_SINK_FAILED', `writing: ${why}`),
      repeatable: true,
    })
  }
}

function isJoined(transaction: EpochTransaction | undefined): transaction is Joined {
  return transaction !== undefined && 'insert' in transaction
}

/** Dead letters: durable when who wrote them has heard so, or before. */
export function simulatedDeadLetters({ link, actor, judge }: Outlet): DeadLetterSink {
  let waiting: DeadLetter[] = []
  const done = () => new Observable<never>((out) => out.complete())
  return {
    address: 'simulated',
    open: done,
    write: (letter) => {
      waiting.push(letter)
      const { record, error } = letter
      judge.rejected(record)
      actor.note(`dead letter ${record.origin.topic}-${record.origin.partition}@${record.origin.offset} ${error.code}`)
    },
    flush: () =>
      defer(() => {
        const letters = waiting
        waiting = []
        const what = `flush of ${letters.length} dead letters`
        const execute = () => {
          for (const letter of letters) judge.lettered(actor.name, letter)
        }
        const unanswered = (why: string) => new WeirError('WEIR_SINK_FAILED', `writing: ${why}`)
        return link.request(actor, { what, execute, unanswered, repeatable: true })
      }).pipe(ignoreElements()),
    close: done,
  }
}
