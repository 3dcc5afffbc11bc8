/** Bytes in pieces of at most so many, each a view of them. */
export function piecesOf(bytes: Uint8Array, mostBytes: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / mostBytes)
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * mostBytes, (index + 1) * mostBytes))
}
