import { concat, defer, EMPTY, type Observable } from 'rxjs'
import {
  asWeirError,
  correlationOf,
  type DeadLetter,
  type DeadLetterSink,
  describeError,
  type Logger,
  place,
  type RejectionPolicy,
  type RetryPolicy,
  type SourceTask,
  StreamRecord,
  traceOf,
  type WeirError,
} from '../model/index.js'
import type { Failed, Rejected, Retrying } from './retry/failed.js'
import type { Observer, StageCounts } from './status.js'

/** Takes care of the records that the stages of one flow reject: each by the policy of its stage. */
export class Rejections implements Rejected {
  /** Failures in a row: a dead letter tells how often its record was tried. */
  private failures = 0
  private pending = 0
  private sources: readonly Pick<SourceTask, 'rejected'>[] = []
  /** Where a stage of the flow has records tried again. */
  retries: Retrying | undefined

  constructor(
    private readonly flow: string,
    private readonly log: Logger,
    private readonly observer: Observer,
    /** Undefined when no stage of the flow writes dead letters. */
    readonly sink: DeadLetterSink | undefined,
  ) {}

  /** Has these sources told of what is rejected. */
  tell(sources: readonly Pick<SourceTask, 'rejected'>[]): void {
    this.sources = sources
  }

  /** The same of a stage that has records tried again. What was made of many lies in no topic. */
  retry(policy: RetryPolicy, failed: Failed): void {
    const { counts, record, error, stage } = failed
    if (this.retries === undefined || record.origin.offset < 0)
      return this.reject(counts, 'dead-letter', record, error, stage)
    this.retries.take(policy, failed)
  }

  told({ counts, record, error: cause, stage }: Failed): WeirError {
    const error = this.locate(stage, record, cause)
    this.tellOf(counts, 'dead-letter', record, error, stage)
    return error
  }

  letter(letter: Omit<DeadLetter, 'flow'>): void {
    this.pending++
    this.sink?.write({ ...letter, flow: this.flow })
  }

  /**
   * Returns when the record was taken care of; throws the error when the policy is to fail. What an internal topic has
   * brought is named and kept as its source read it.
   */
  reject(
    counts: StageCounts,
    policy: RejectionPolicy,
    given: StreamRecord,
    cause: unknown,
    stage = counts.stage,
  ): void {
    const record = asRead(given)
    const error = this.locate(stage, record, cause)
    if (policy === 'fail') throw error
    this.pending++
    this.tellOf(counts, policy, record, error, stage)
    for (const source of this.sources) source.rejected?.(given.origin, error)
    if (policy === 'dead-letter') {
      this.sink?.write({ record, error, flow: this.flow, stage, attempts: this.failures + 1 })
    }
  }

  /** Completes when every dead letter of this epoch is acknowledged, and what is tried again is taken care of. */
  flush(): Observable<never> {
    const letters$ = defer(() => (this.pending === 0 ? EMPTY : (this.sink?.flush() ?? EMPTY)))
    return concat(this.retries?.flush() ?? EMPTY, letters$)
  }

  committed(): void {
    this.failures = 0
    this.pending = 0
    this.retries?.over(true)
  }

  failed(): void {
    this.failures++
    this.pending = 0
    this.retries?.over(false)
    this.sink?.discard?.()
  }

  private tellOf(
    counts: StageCounts,
    policy: RejectionPolicy,
    record: StreamRecord,
    error: WeirError,
    stage: string,
  ): void {
    counts.rejected++
    const at = place(record.origin)
    const correlationId = correlationOf(record)
    const traceId = traceOf(record)?.traceId
    this.log.warn({ stage, code: error.code, at, correlationId, traceId, policy }, describeError(error))
    this.observer.rejected?.({ flow: this.flow, stage, error, at, correlationId })
  }

  private locate(stage: string, { origin }: StreamRecord, cause: unknown): WeirError {
    const { topic, partition, offset } = origin
    // What stems from many records, a result of them, has no place of its own.
    const where = offset < 0 ? {} : { partition: { topic, partition }, offset }
    return asWeirError(cause, 'WEIR_STAGE_FAILED', { flow: this.flow, stage, ...where })
  }
}

function asRead(record: StreamRecord): StreamRecord {
  const { key, value, timestamp, headers, origin, behindMs } = record
  return origin.from === undefined ? record : new StreamRecord(key, value, timestamp, headers, origin.from, behindMs)
}
