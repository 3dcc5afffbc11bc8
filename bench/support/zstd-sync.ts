import zlib from 'node:zlib'

type Compress = (bytes: Uint8Array) => Uint8Array

/** Zstandard that has compressed when it returns, as hyparquet-writer asks for: Node's own from 22.15 on, else WebAssembly. */
export async function zstdSync(): Promise<Compress> {
  const { zstdCompressSync } = zlib as unknown as { readonly zstdCompressSync?: Compress }
  if (zstdCompressSync !== undefined) return (bytes) => zstdCompressSync(bytes)
  const { compress, init } = await import('@bokuweb/zstd-wasm')
  await init()
  return (bytes) => compress(bytes, 3)
}
