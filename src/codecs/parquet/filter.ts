import { BloomBuilder, writeBloomFilter } from 'hyparquet-writer/src/bloom.js'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'

/**
 * A Bloom filter of some texts, by which readers pass over what has none that they look for, even between the least and
 * the largest; undefined for no texts.
 */
export function filterOf(texts: readonly string[]): Uint8Array | undefined {
  const builder = new BloomBuilder({ name: '', type: 'BYTE_ARRAY', converted_type: 'UTF8' })
  for (const text of texts) builder.insert(text)
  const blocks = builder.finalize()
  if (blocks === undefined) return undefined
  const writer = new ByteWriter()
  writeBloomFilter(writer, blocks)
  return writer.getBytes()
}
