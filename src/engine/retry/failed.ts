import type { Observable } from 'rxjs'
import {
  asWeirError,
  correlationOf,
  type DeadLetter,
  describeError,
  type ErrorCode,
  mayPass,
  type OperatorContext,
  type Origin,
  place,
  type RetryPolicy,
  type StreamRecord,
  stackOf,
  WeirError,
} from '../../model/index.js'
import type { StageCounts } from '../status.js'
import { asRead, type RetryFacts, sizeOf } from './message.js'

/** A record that a stage could not take in this epoch. */
export interface Failed {
  readonly record: StreamRecord
  readonly error: unknown
  readonly stage: string
  readonly counts: StageCounts
}

/** And after how many ms it is tried again; undefined where it is not. */
export interface Decided extends Failed {
  readonly tierMs: number | undefined
}

/** Where records go that are not tried again. */
export interface Rejected {
  /** Counts and tells one that goes to the dead letters. Returns its error. */
  told(failed: Failed): WeirError
  /** Writes its dead letter, before the epoch commits. */
  letter(letter: Omit<DeadLetter, 'flow'>): void
}

/** What a task has to try again later: see docs/adr/0032. */
export interface Retrying {
  open?(): Observable<never>
  close?(): Observable<never>
  /** Takes care of a record that a stage can't take. */
  take(policy: RetryPolicy, failed: Failed): void
  /** Sees what passes between two stages. */
  watch(): (record: StreamRecord) => void
  /** Completes when what this epoch has failed is taken care of, as far as that goes before its commit. */
  flush(): Observable<never>
  /** An epoch was committed, or has failed. */
  over(isCommitted: boolean): void
}

/** A record has to fit into a message of a retry topic, together with what is told of it: bytes. */
const largest = 1_000_000

/** What has failed in an epoch. */
export class FailedRecords {
  private taken: Decided[] = []
  /** Places of records of which a stage has made several. */
  private readonly several = new Set<string>()
  private epoch = 0

  take(policy: RetryPolicy, failed: Failed): void {
    const { record, error } = failed
    const tierMs = mayPass(policy, error) ? policy.tiers[record.origin.retried?.attempts ?? 0] : undefined
    this.taken.push({ ...failed, tierMs })
  }

  watch(): (record: StreamRecord) => void {
    let last: Origin | undefined
    let { epoch } = this
    return ({ origin }) => {
      if (epoch !== this.epoch) last = undefined
      epoch = this.epoch
      if (last?.offset === origin.offset && last.partition === origin.partition && last.topic === origin.topic)
        this.several.add(place(origin))
      last = origin
    }
  }

  /** What becomes of them. Of what several were made some may have come through: it is not tried again. */
  decided(): Decided[] {
    return this.taken.map((failed) => {
      const { origin } = failed.record
      return this.several.has(place(origin)) || sizeOf(asRead(origin)) > largest
        ? { ...failed, tierMs: undefined }
        : failed
    })
  }

  /** The next epoch begins. */
  clear(): void {
    this.taken = []
    this.several.clear()
    this.epoch++
  }
}

/** Until when it waits, and why. */
export type Why = Pick<RetryFacts, 'due' | 'wait' | 'attempts' | 'stage' | 'code' | 'error' | 'stack'>

/** How much of an error is kept, characters. */
const [longestError, longestStack] = [500, 16_000]

/** Tells what becomes of a record that failed. Returns what is kept of that. */
export function toldOf(failed: Decided, context: OperatorContext & { readonly rejections: Rejected }): Why {
  const { record, error: cause, stage, counts, tierMs } = failed
  const { flow, clock, log, rejections } = context
  const { topic, partition, offset, retried } = record.origin
  const attempts = (retried?.attempts ?? 0) + 1
  if (tierMs === undefined) {
    const error = rejections.told(failed)
    const thrown = error.cause instanceof Error ? error.cause : error
    const stack = `${thrown.name}\n${stackOf(thrown).slice(0, longestStack)}`
    return { due: 0, wait: 0, attempts, stage, code: error.code, error: error.message, stack }
  }
  const error = asWeirError(cause, 'WEIR_STAGE_FAILED', { flow, stage, partition: { topic, partition }, offset })
  counts.retried = (counts.retried ?? 0) + 1
  const told = { stage, code: error.code, at: place(record.origin), correlationId: correlationOf(record), attempts }
  log.warn(told, `${describeError(error)} (tried again in ${tierMs} ms)`)
  const why = { stage, code: error.code, error: error.message.slice(0, longestError) }
  return { due: clock.now() + tierMs, wait: tierMs, attempts, ...why }
}

/** The error that a letter tells of. */
export function errorOf({ code, error, stack = '', stage, topic, partition, offset }: RetryFacts): WeirError {
  const [name, ...lines] = stack.split('\n')
  const cause = Object.assign(new Error(error), { name, stack: lines.join('\n') })
  return new WeirError(code as ErrorCode, error, { cause, stage, partition: { topic, partition }, offset })
}
