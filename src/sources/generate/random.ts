/**
 * A generator of its own for each index: mulberry32 (Tommy Ettinger, public domain), a counter that goes up by an odd
 * constant, each count scrambled by multiplications and shifts. Seed and index are scrambled too, so that neighbours
 * share nothing.
 */
export function randomOf(seed: number, index: number): () => number {
  let counter = scramble(scramble(seed | 0) ^ scramble(index | 0) ^ Math.floor(index / 2 ** 32))
  return () => {
    counter = (counter + 0x6d2b79f5) | 0
    return (scramble(counter) >>> 0) / 2 ** 32
  }
}

function scramble(counter: number): number {
  let bits = Math.imul(counter ^ (counter >>> 15), counter | 1)
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
  return bits ^ (bits >>> 14)
}
