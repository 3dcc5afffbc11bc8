import {
  Distribution,
  isTimestamp,
  type MetricReading,
  type StageMetric,
  type StreamRecord,
} from '../../model/index.js'

const latencySeconds = [
  0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
]
/** Of an epoch with more records only so many, and one in so many of the others, are asked when they were. */
const certain = 200
const oneIn = 16

const metrics = {
  rows: {
    name: 'table_rows_total',
    help: 'Records whose rows are committed, those that a row was there for already with them.',
    kind: 'counter',
    shown: 'rows',
    pace: true,
  },
  latency: {
    name: 'table_latency_seconds',
    help: 'From the timestamp of a record until its row could be read, of some of them.',
    kind: 'histogram',
    shown: 'p99',
  },
} as const satisfies Record<string, StageMetric>

export const tableMetrics: readonly StageMetric[] = Object.values(metrics)

/** Counts what a table gets, and tells how late. */
export class TableMeter {
  private rows = 0
  private readonly latency = new Distribution(latencySeconds)
  /** Of the epoch: how many records it had, and the timestamps of some. */
  private taken = 0
  private hadRefused = 0
  private readonly timestamps: number[] = []

  begin(): void {
    this.taken = this.hadRefused = 0
    this.timestamps.length = 0
  }

  took({ timestamp }: StreamRecord): void {
    const isAsked = this.taken < certain || this.taken % oneIn === 0
    this.taken++
    if (isAsked && isTimestamp(timestamp)) this.timestamps.push(timestamp)
  }

  /** No row came of one that was taken. */
  refused(): void {
    this.hadRefused++
  }

  /** @param now By the clock of timestamps, ms. */
  committed(now: number): void {
    this.rows += this.taken - this.hadRefused
    for (const timestamp of this.timestamps) this.latency.add(Math.max(0, now - timestamp) / 1_000)
    this.begin()
  }

  readings(): readonly MetricReading[] {
    return [
      { metric: metrics.rows, value: this.rows },
      { metric: metrics.latency, value: this.latency },
    ]
  }
}
