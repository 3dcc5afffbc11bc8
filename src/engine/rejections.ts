import { EMPTY, type Observable } from 'rxjs'
import {
  asWeirError,
  correlationOf,
  type DeadLetterSink,
  describeError,
  type Logger,
  place,
  type RejectionPolicy,
  type SourceTask,
  StreamRecord,
  type WeirError,
} from '../model/index.js'
import type { Observer, StageCounts } from './status.js'

/** Takes care of the records that the stages of one flow reject: each by the policy of its stage. */
export class Rejections {
  /** Failures in a row: a dead letter tells how often its record was tried. */
  private failures = 0
  private pending = 0
  private sources: readonly Pick<SourceTask, 'rejected'>[] = []

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
    counts.rejected++
    this.pending++
    const at = place(record.origin)
    const correlationId = correlationOf(record)
    this.log.warn({ stage, code: error.code, at, correlationId, policy }, describeError(error))
    this.observer.rejected?.({ flow: this.flow, stage, error, at, correlationId })
    for (const source of this.sources) source.rejected?.(given.origin, error)
    if (policy === 'dead-letter') {
      this.sink?.write({ record, error, flow: this.flow, stage, attempts: this.failures + 1 })
    }
  }

  /** Completes when every dead letter of this epoch is acknowledged. */
  flush(): Observable<never> {
    if (this.pending === 0) return EMPTY
    return this.sink?.flush() ?? EMPTY
  }

  committed(): void {
    this.failures = 0
    this.pending = 0
  }

  failed(): void {
    this.failures++
    this.pending = 0
    this.sink?.discard?.()
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
