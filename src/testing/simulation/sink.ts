import { concat, defer, EMPTY, ignoreElements, Observable, type Subscriber, type Subscription } from 'rxjs'
import {
  Batch,
  bytesOf,
  type Connection,
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
  /** How large a value may be, bytes. */
  readonly mostBytes: number
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
      let waiting: StreamRecord[] = []
      let isEnding = false
      let request: Subscription | undefined
      const next = () => {
        if (waiting.length === 0) {
          request = undefined
          if (isEnding) out.complete()
          return
        }
        const records = waiting
        waiting = []
        const large = records.filter((record) => this.isTooLarge(record))
        const values = records.filter((record) => !large.includes(record)).map(({ value }) => value)
        request = write(values).subscribe({
          error: (error: unknown) => out.error(error),
          complete: () => {
            this.ending(out, () => {
              for (const record of large) this.context.reject(record, tooLarge())
            })
            next()
          },
        })
        out.add(request)
      }
      out.add(
        records$.subscribe({
          next: (record) => {
            const records = record.value instanceof Batch ? (record.value as Batch).records : [record]
            this.ending(out, () => {
              for (const one of records) if (!this.isRefused(one)) waiting.push(one)
            })
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

  /** Whether what is rejected ends the epoch is for its policy to say. */
  private ending(out: Subscriber<never>, work: () => void): void {
    try {
      work()
    } catch (error) {
      out.error(error)
    }
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

  /** The server tells, once it was asked to take it. */
  private isTooLarge({ value }: StreamRecord): boolean {
    const { mostBytes } = this.outlet
    return mostBytes !== Number.POSITIVE_INFINITY && (bytesOf(value)?.length ?? 0) > mostBytes
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

function tooLarge(): WeirError {
  return new WeirError('WEIR_RECORD_REFUSED', 'writing: it is larger than the server takes', { isTooLarge: true })
}

function isJoined(transaction: EpochTransaction | undefined): transaction is Joined {
  return transaction !== undefined && 'insert' in transaction
}
