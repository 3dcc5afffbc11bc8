/**
 * Numbers that look random and follow from one seed (sfc32, seeded by splitmix32): the same seed gives the same numbers
 * on every machine. All that a simulation chooses comes from one of these, in the order in which it happens.
 */
export class Random {
  private readonly words: Uint32Array

  constructor(seed: number) {
    let mixed = seed >>> 0
    this.words = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) >>> 0
      let word = mixed ^ (mixed >>> 16)
      word = Math.imul(word, 0x21f0aaad)
      word ^= word >>> 15
      word = Math.imul(word, 0x735a2d97)
      return word ^ (word >>> 15)
    })
    for (let round = 0; round < 12; round++) this.next()
  }

  /** From 0 to 1, which it never is. */
  next(): number {
    const { words } = this
    const [a, b, c, d] = words as unknown as [number, number, number, number]
    const sum = (a + b + d) >>> 0
    words[0] = b ^ (b >>> 9)
    words[1] = c + (c << 3)
    words[2] = ((c << 21) | (c >>> 11)) + sum
    words[3] = d + 1
    return sum / 2 ** 32
  }

  /** A whole number, both ends included. */
  between(lowest: number, highest: number): number {
    return lowest + Math.floor(this.next() * (highest - lowest + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new RangeError('picking one of an empty list')
    return from[this.between(0, from.length - 1)] as T
  }

  shuffle<T>(list: readonly T[]): T[] {
    const left = [...list]
    return list.map(() => left.splice(this.between(0, left.length - 1), 1)[0] as T)
  }

  /** How long until the next of things that come at random, `mean` apart on average. */
  wait(mean: number): number {
    return Math.round(-Math.log(1 - this.next()) * mean)
  }
}
