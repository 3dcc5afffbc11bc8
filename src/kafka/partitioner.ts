const seed = 0x9747b28c
const factor = 0x5bd1e995

/** Where a key goes among so many partitions, as Kafka's own producers have it, and the client's `murmur2_random`. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(view.getInt32(at, true), factor)
    word = Math.imul(word ^ (word >>> 24), factor)
    hash = Math.imul(hash, factor) ^ word
  }
  if (at < length) {
    for (let shift = 0; at < length; at++, shift += 8) hash ^= (bytes[at] as number) << shift
    hash = Math.imul(hash, factor)
  }
  hash = Math.imul(hash ^ (hash >>> 13), factor)
  return hash ^ (hash >>> 15)
}
