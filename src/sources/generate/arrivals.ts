import { randomOf } from './random.js'

/** When events come, each as ms after event 0; the same ones whenever they are asked for. */
export interface Arrivals {
  at(index: number): number
  /** How many events have come after so many ms. */
  countBy(ms: number): number
}

/** One event after the other, at the same distance. */
export function steady(rate: number): Arrivals {
  return { at: (index) => (index * 1_000) / rate, countBy: (ms) => Math.floor((ms * rate) / 1_000) + 1 }
}

/** How many arrivals are made at a time. */
const blockLength = 1_024

/** Events that know nothing of each other: the gaps between them are of an exponential distribution. */
export function poisson(rate: number, seed: number): Arrivals {
  return new PoissonArrivals(1_000 / rate, seed)
}

/**
 * Gaps add up, so an arrival depends on all before it. They are made in blocks, and where each block starts is kept: a
 * block is made again when it is asked for, and only the first visit goes through all before it.
 */
class PoissonArrivals implements Arrivals {
  /** When each block starts, as far as blocks have been made. */
  private readonly starts = [0]
  private made = -1
  private block: Float64Array = new Float64Array(blockLength)

  constructor(
    private readonly meanGapMs: number,
    private readonly seed: number,
  ) {}

  at(index: number): number {
    this.make(Math.floor(index / blockLength))
    return this.block[index % blockLength] as number
  }

  countBy(ms: number): number {
    let number = 0
    while ((this.starts[number + 1] ?? this.endOf(number)) <= ms) number++
    this.make(number)
    let count = number * blockLength
    for (const at of this.block) if (at <= ms) count++
    return count
  }

  private endOf(number: number): number {
    this.make(number)
    return this.starts[number + 1] as number
  }

  private make(number: number): void {
    if (number === this.made) return
    for (let missing = this.starts.length - 1; missing < number; missing++) this.fill(missing)
    this.fill(number)
  }

  private fill(number: number): void {
    // Another seed than that of the values, which also take a generator for each index.
    const random = randomOf(~this.seed, number)
    let at = this.starts[number] as number
    for (let index = 0; index < blockLength; index++) {
      this.block[index] = at
      at -= Math.log(1 - random()) * this.meanGapMs
    }
    this.starts[number + 1] = at
    this.made = number
  }
}
