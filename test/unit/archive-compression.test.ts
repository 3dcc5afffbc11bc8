import zlib from 'node:zlib'
import { lastValueFrom } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { uncompressed, zstd } from '../../src/compression/index.js'
import { plainRow } from '../support/archive-rows.js'

vi.mock(import('../../src/compression/index.js'), async (original) => ({
  ...(await original()),
  gzip: () => Promise.reject(new Error('out of memory')),
  deflate: () => Promise.reject(new Error('out of memory')),
}))

/** Enough for a row group and many blocks. */
const rows = Array.from({ length: 20 }, (_, offset) => plainRow(offset, { data: 'd'.repeat(1_000_000) }))

describe.each([
  ['Parquet', parquetFormat('gzip')],
  ['Avro', avroFormat('deflate')],
])('%s that can not be compressed', (_, format) => {
  test('fails when bytes are asked for, and not before, with nobody there', async () => {
    const encoder = format.open()
    for (const row of rows) encoder.add(row)
    await new Promise(setImmediate)
    expect(encoder.isReady).toBe(true)
    await expect(lastValueFrom(encoder.take())).rejects.toThrow('out of memory')
  })
})

describe('zstd', () => {
  const own = zlib as unknown as Record<string, unknown>
  const before = own['zstdCompress']
  afterEach(() => {
    own['zstdCompress'] = before
  })

  test('is Node’s own where it has it', async () => {
    const done = (bytes: Buffer) => Buffer.concat([bytes, Buffer.from(' in Node')])
    own['zstdCompress'] = (bytes: Buffer, _: unknown, then: (error: null, bytes: Buffer) => void) =>
      then(null, done(bytes))
    expect(String(await zstd('a test')(Buffer.from('compressed')))).toBe('compressed in Node')
    own['zstdCompress'] = (_bytes: Buffer, _: unknown, then: (error: Error) => void) => then(new Error('no memory'))
    await expect(zstd('a test')(Buffer.from('compressed'))).rejects.toThrow('no memory')
  })

  test('is the peer’s where Node has none', async () => {
    own['zstdCompress'] = undefined
    const magic = (await zstd('a test')(Buffer.alloc(100))).subarray(0, 4)
    expect(Buffer.from(magic).readUInt32LE()).toBe(0xfd2fb528)
  })
})

test('what is not compressed stays what it is', async () => {
  const bytes = Buffer.from('as it is')
  expect(await uncompressed(bytes)).toBe(bytes)
})
