import { createHash } from 'node:crypto'

/** Bytes that are told from all others, always the same ones for a seed. */
export function content(bytes: number, seed = 0): Buffer {
  const block = createHash('sha512').update(String(seed)).digest()
  const all = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += block.length) {
    block.writeUInt32LE(at, 0)
    block.copy(all, at)
  }
  return all
}
