import type { Observable } from 'rxjs'
import type { WeirError } from './errors.js'
import type { StreamRecord } from './record.js'

/** A record that a stage rejected, with why. */
export interface DeadLetter {
  /** As the stage had it; `record.origin` has the bytes that the source read. */
  readonly record: StreamRecord
  readonly error: WeirError
  readonly flow: string
  readonly stage: string
  /** How many epochs have tried it, this one included. */
  readonly attempts: number
}

/** Where dead letters go. An epoch commits only after `flush` has completed. */
export interface DeadLetterSink {
  /** Where that is, for logs: a topic. */
  readonly address: string
  open(): Observable<never>
  /** Sends one; errors show in `flush`. */
  write(letter: DeadLetter): void
  /** Completes when all that was written is acknowledged. */
  flush(): Observable<never>
  /** The epoch of what was written and not flushed has failed. */
  discard?(): void
  close(): Observable<never>
}
