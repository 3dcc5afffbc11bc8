/**
 * A number that stages of one kind tell of themselves. It is scraped as `weir_<name>`, with the flow and the stage that it is
 * of, and costs nothing where nobody asks.
 */
export interface StageMetric {
  /** Begins with the kind and ends with the unit, that of a counter with `_total` behind: `archive_bytes_total`. */
  readonly name: string
  /** A sentence. */
  readonly help: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  /** What the gauges of several workers make together. Default `sum`. */
  readonly together?: 'sum' | 'max'
  /**
   * What tells its values apart, each with all that it may be: nothing that records bring becomes a label, for each value costs
   * memory for ever where metrics are kept. What else is told is `other`.
   */
  readonly labels?: Readonly<Record<string, readonly string[]>>
  /**
   * What a view of the flow calls it; one that has no such name is not shown there. Of a histogram the view shows what 99 of a
   * hundred stay below.
   */
  readonly shown?: string
  /** Whether the view shows how much it grows in a second, in place of what it is. */
  readonly pace?: boolean
}

/** What a metric is at the moment. */
export interface MetricReading {
  readonly metric: StageMetric
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number | Distribution
}

/** How often something was how large: the value of a histogram. */
export class Distribution {
  /** Of each bound, how many were no larger, and larger than the bound before. */
  readonly counts: number[]
  count = 0
  sum = 0

  /** @param bounds In their order. What is larger than the last one is counted as well. */
  constructor(readonly bounds: readonly number[]) {
    this.counts = bounds.map(() => 0)
  }

  add(value: number): void {
    const index = this.bounds.findIndex((bound) => value <= bound)
    if (index !== -1) this.counts[index] = (this.counts[index] ?? 0) + 1
    this.count++
    this.sum += value
  }
}
