import type { Guarantee, MetricReading, PartitionEnd, StreamRecord, TopicChange, WeirError } from '../model/index.js'

/**
 * The life of a flow:
 *
 *   starting ──► assigning ──► idle ◄──► running ◄──► retrying
 *      ▲             ▲           │          │            │
 *      └─────────────┴───────────┴──────────┼────────────┤  (restart)
 *                                           ▼            ▼
 *                                       draining ──► stopped | failed
 *
 * `idle` is a member that the group has given no partition: it waits to take one over.
 */
export type FlowState = 'starting' | 'assigning' | 'idle' | 'running' | 'retrying' | 'draining' | 'stopped' | 'failed'

export interface StageCounts {
  readonly stage: string
  readonly kind: 'source' | 'operator' | 'sink' | 'internal'
  in: number
  out: number
  rejected: number
  /** Records that are tried again later; none where it is not there. */
  retried?: number
  /** Values that were null, undefined or NaN where an aggregate reckons with numbers; none where it is not there. */
  skipped?: number
}

export interface PartitionStatus extends PartitionEnd {
  /** The highest event time seen, ms. */
  readonly streamTime: number | undefined
}

/** How many entries of a bounded store went by themselves since the process began, replays included. */
export interface StoreStatus {
  readonly store: string
  /** Not touched for as long as entries live. */
  readonly expired: number
  /** One too many, and touched longest ago. */
  readonly evicted: number
}

/** A metric of a stage's own. */
export interface StageReading extends MetricReading {
  readonly stage: string
}

/** What a flow tells of itself; read it as often as you like, nothing is computed before. */
export interface FlowStatus {
  readonly flow: string
  readonly guarantee: Guarantee
  readonly state: FlowState
  /** When this state began, ms that have passed: a time of the clock's scheduler. */
  readonly since: number
  /** Why it is retrying or failed. */
  readonly error: WeirError | undefined
  /** Why nothing can be read or written at the moment; it goes on trying, and the flow with it. */
  readonly trouble?: WeirError | undefined
  /** Failures in a row. */
  readonly failures: number
  /** When the first of them was, a time of the clock's scheduler: what has failed since has not come through yet. */
  readonly failingSince?: number | undefined
  /**
   * When an epoch was last committed, even an empty one, a time of the clock's scheduler; undefined when none was since it
   * was last idle.
   */
  readonly lastCommitAt: number | undefined
  /** Up to where results are final, event time in ms; undefined before the first, and of an idle one. */
  readonly watermark: number | undefined
  /** How much of stored state was loaded since the process began. */
  readonly restoredBytes: number
  readonly stages: readonly StageCounts[]
  readonly partitions: readonly PartitionStatus[]
  /** The stores that have bounds. */
  readonly stores: readonly StoreStatus[]
  readonly metrics?: readonly StageReading[]
}

/** What happened in one epoch, for metrics and logs. */
export interface EpochReport {
  readonly flow: string
  /** The flow's name, or that of the part of it that runs behind an internal topic. */
  readonly part: string
  readonly epoch: number
  readonly records: number
  /** From the subscription to the last acknowledgement, ms. */
  readonly durationMs: number
  /** The commit alone, ms. */
  readonly commitMs: number
}

/** What a stage did in one epoch, from its first record until it had no more to do; times of the clock's scheduler. */
export interface StageTrace extends Pick<StageCounts, 'stage' | 'kind' | 'in' | 'out' | 'rejected'> {
  readonly startedAt: number
  readonly endedAt: number
}

/** One epoch that had something to do, committed or failed; times of the clock's scheduler. */
export interface EpochTrace extends Omit<EpochReport, 'durationMs' | 'commitMs'> {
  /** Undefined where it has failed. */
  readonly commitMs: number | undefined
  readonly error?: WeirError
  readonly startedAt: number
  readonly endedAt: number
  readonly stages: readonly StageTrace[]
  /** Some of the records that were read, the first of them. */
  readonly heads: readonly StreamRecord[]
}

/** Where the engine tells what happens. */
export interface Observer {
  epoch?(report: EpochReport): void
  /** Times are taken only where somebody wants to hear of them. */
  trace?(trace: EpochTrace): void
  state?(status: FlowStatus): void
  /**
   * A value that the sink of this stage has written; a sample of them, a few a second. Of a sink that makes something else of
   * its records, each of those.
   */
  written?(written: { flow: string; stage: string; value: unknown }): void
  /** A source noticed that a topic has changed. */
  topic?(change: TopicChange & { readonly flow: string }): void
  rejected?(rejection: { flow: string; stage: string; error: WeirError; at: string; correlationId: string }): void
}
