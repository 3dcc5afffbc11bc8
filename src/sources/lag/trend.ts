/** Over so many measurements: groups commit now and then, so that from one to the next says little. */
const remembered = 5

interface Sample {
  /** A time that never goes back, ms. */
  readonly at: number
  readonly records: number
}

/** How the lag of each group and topic goes. */
export class Trends {
  private samples = new Map<string, readonly Sample[]>()

  /**
   * Takes one round of measurements, by key, and returns by how many records each grows in a second; null at first. What is
   * not in it is forgotten.
   */
  take(measured: ReadonlyMap<string, number>, at: number): ReadonlyMap<string, number | null> {
    const samples = new Map<string, readonly Sample[]>()
    const growths = new Map<string, number | null>()
    for (const [key, records] of measured) {
      const series = [...(this.samples.get(key) ?? []), { at, records }].slice(-remembered)
      samples.set(key, series)
      growths.set(key, growthOf(series))
    }
    this.samples = samples
    return growths
  }
}

function growthOf(series: readonly Sample[]): number | null {
  const [first, last] = [series[0], series.at(-1)]
  if (first === undefined || last === undefined || last.at <= first.at) return null
  return rounded((last.records - first.records) / ((last.at - first.at) / 1_000))
}

/** In how many seconds nothing is left; null where that is not in sight. */
export function drainSecondsOf(records: number, growth: number | null): number | null {
  if (records === 0) return 0
  return growth === null || growth >= 0 ? null : rounded(records / -growth)
}

export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
