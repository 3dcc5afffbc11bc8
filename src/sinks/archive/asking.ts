import { Observable, type Subscriber } from 'rxjs'
import { type Clock, isWeirError } from '../../model/index.js'
import type { BlobFault } from './blob-fault.js'

export interface AskingOptions {
  readonly address: string
  /** How long one request may take, or nothing may come of one that is read, ms. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Makes of whatever a client throws a fault that says what was being done. */
  fault(doing: string, error: unknown): BlobFault
}

/** Where promises stop: requests of a client, each aborted when it is left, and when its time is up. */
export class Asking {
  constructor(private readonly options: AskingOptions) {}

  /** A request for one thing. `verb` and `name` say what is being done, for errors. */
  one<T>(verb: string, name: string, work: (signal: AbortSignal) => Promise<T>): Observable<T> {
    return this.abortable<T>(verb, name, async (output, signal) => output.next(await work(signal)))
  }

  /** A request for as many things as there are. */
  many<T>(verb: string, name: string, work: (signal: AbortSignal) => Promise<readonly T[]>): Observable<T> {
    return this.abortable<T>(verb, name, async (output, signal) => {
      for (const value of await work(signal)) output.next(value)
    })
  }

  /** A request that tells nothing but that it is done. */
  done(verb: string, name: string, work: (signal: AbortSignal) => Promise<unknown>): Observable<never> {
    return this.abortable<never>(verb, name, async (_output, signal) => void (await work(signal)))
  }

  /** A request for bytes, which are told as they come: its time begins anew with each piece. */
  bytes(
    verb: string,
    name: string,
    work: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>,
  ): Observable<Uint8Array> {
    return this.abortable<Uint8Array>(verb, name, async (output, signal, alive) => {
      for await (const piece of await work(signal)) {
        if (signal.aborted) return
        alive()
        output.next(piece)
      }
    })
  }

  private abortable<T>(verb: string, name: string, work: Work<T>): Observable<T> {
    const { address, timeoutMs, clock, fault } = this.options
    // It may be of ours: a package that is not installed.
    const faultOf = (error: unknown) => (isWeirError(error) ? error : fault(`${verb} ${address}/${name}`, error))
    return new Observable((output) => {
      const abort = new AbortController()
      const late = () => output.error(faultOf(new Error(`no answer within ${timeoutMs / 1_000} s`)))
      const wait = () => clock.scheduler.schedule(late, timeoutMs)
      let timer = wait()
      const alive = () => {
        timer.unsubscribe()
        timer = wait()
      }
      // What a client makes of the abort comes too late for anybody.
      output.add(() => {
        timer.unsubscribe()
        abort.abort()
      })
      work(output, abort.signal, alive).then(
        () => output.complete(),
        (error: unknown) => output.error(faultOf(error)),
      )
    })
  }
}

type Work<T> = (output: Subscriber<T>, signal: AbortSignal, alive: () => void) => Promise<void>
