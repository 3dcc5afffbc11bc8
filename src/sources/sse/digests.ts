/** How long a digest is: SHA-1, as text whose characters are its bytes. */
export const digestLength = 20

const words = digestLength / 4
const firstCapacity = 1_024

/** The words of the digest that is looked at. */
const looked = new Uint32Array(words)

/**
 * A set of digests, compared as a whole, in two arrays of numbers: 100,000 take 4 MB, none of which the collector has to
 * look at. Strings in a map would take four times as much, and be moved again and again.
 */
export class Digests {
  /** The digests in the order in which they came. */
  private digests = new Uint32Array(firstCapacity * words)
  /** At the place that a digest's first word says, or behind it, which one it is, counted from 1; at most half are taken. */
  private places = new Uint32Array(2 * firstCapacity)
  private count = 0

  get size(): number {
    return this.count
  }

  has(digest: string): boolean {
    look(digest)
    return this.places[this.find()] !== 0
  }

  add(digest: string): void {
    look(digest)
    if (this.count * words === this.digests.length) this.grow()
    const place = this.find()
    if (this.places[place] !== 0) return
    this.digests.set(looked, this.count * words)
    this.places[place] = ++this.count
  }

  clear(): void {
    this.digests = new Uint32Array(firstCapacity * words)
    this.places = new Uint32Array(2 * firstCapacity)
    this.count = 0
  }

  /** The place of the digest that is looked at, or the free one where it would be. */
  private find(): number {
    const { places } = this
    const last = places.length - 1
    let place = looked[0]! & last
    while (places[place] !== 0 && !this.isLooked(places[place]! - 1)) place = (place + 1) & last
    return place
  }

  private isLooked(index: number): boolean {
    const start = index * words
    for (let word = 0; word < words; word++) if (this.digests[start + word] !== looked[word]) return false
    return true
  }

  private grow(): void {
    const { digests } = this
    this.digests = new Uint32Array(2 * digests.length)
    this.digests.set(digests)
    this.places = new Uint32Array(2 * this.places.length)
    const last = this.places.length - 1
    for (let index = 0; index < this.count; index++) {
      let place = digests[index * words]! & last
      while (this.places[place] !== 0) place = (place + 1) & last
      this.places[place] = index + 1
    }
  }
}

function look(digest: string): void {
  for (let word = 0, at = 0; word < words; word++, at += 4) {
    const high = (digest.charCodeAt(at) << 24) | (digest.charCodeAt(at + 1) << 16)
    looked[word] = high | (digest.charCodeAt(at + 2) << 8) | digest.charCodeAt(at + 3)
  }
}
