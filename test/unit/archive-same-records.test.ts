import { lastValueFrom, of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { ArchiveRow, FileFormat } from '../../src/codecs/archive/file-format.js'
import type { FileBytes } from '../../src/codecs/archive/file-reader.js'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { BlobFault } from '../../src/sinks/archive/blob-fault.js'
import { bytesInSpool, bytesInStore } from '../../src/sinks/archive/file-bytes.js'
import { haveSameRecords, isDecided } from '../../src/sinks/archive/same-records.js'
import { fileOf, plainRow } from '../support/archive-rows.js'

const rows = (from: number, to: number, fields: Partial<ArchiveRow> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => plainRow(from + index, fields))

function inMemory(bytes: Buffer): FileBytes {
  return { size: bytes.length, read: (from, to) => Promise.resolve(bytes.subarray(from, to)) }
}

const made = async (format: FileFormat, rows: readonly ArchiveRow[]) => inMemory(await fileOf(format, rows))
const nameOf = ({ extension }: FileFormat) => `events/v1/dt=2026-01-01/pid=0/x.${extension}`

describe.each([
  ['Parquet', parquetFormat('zstd'), parquetFormat('gzip')],
  ['Avro', avroFormat('zstandard'), avroFormat('null')],
])('a file in %s', (_, format, older) => {
  const name = nameOf(format)
  const same = async (one: FileBytes, other: FileBytes) => lastValueFrom(haveSameRecords(name, one, other))

  test('has the records of one that was made otherwise', async () => {
    const all = rows(0, 2_500, { extensions: { count: 42, flag: true }, headers: [{ a: Buffer.from([0, 255]) }] })
    expect(await same(await made(format, all), await made(older, all))).toBe(true)
  })

  test.each<[what: string, other: readonly ArchiveRow[]]>([
    ['has one record less', rows(0, 8)],
    ['has one more', rows(0, 10)],
    ['has others of the same offsets', [...rows(0, 8), plainRow(9, { id: 'another' })]],
    ['has other data', [...rows(0, 8), plainRow(9, { data: '{"a":2}' })]],
    ['has them in another order', [...rows(0, 8), plainRow(9)].reverse()],
    ['has a key', [...rows(0, 8), plainRow(9, { key: Buffer.from('another') })]],
  ])('has not those of one that %s', async (_, other) => {
    expect(await same(await made(format, rows(0, 9)), await made(older, other))).toBe(false)
  })

  test('has not those of what is none of an archive', async () => {
    expect(await same(await made(format, rows(0, 9)), inMemory(Buffer.from('anything at all')))).toBe(false)
  })

  const cut = { name, first: 5, last: 14, records: 10 }
  const decided = async (file: FileBytes, partition = 0) =>
    lastValueFrom(isDecided(file, cut, { topic: 'orders', partition }))

  test('is what was decided on where it says so, whatever its bytes are', async () => {
    expect(await decided(await made(older, rows(5, 14)))).toBe(true)
  })

  test.each([
    ['begins later', rows(6, 15)],
    ['ends earlier', rows(5, 13)],
    ['has fewer records', rows(5, 14).filter(({ offset }) => offset !== 7)],
    ['is of another partition', rows(5, 14, { partition: 1 })],
  ])('is not where it %s', async (_, others) => {
    expect(await decided(await made(format, others))).toBe(false)
  })

  test('is not where it is cut, or none', async () => {
    const whole = await fileOf(format, rows(5, 14))
    for (const bytes of [whole.subarray(0, -3), Buffer.alloc(0), Buffer.from('anything at all')])
      expect(await decided(inMemory(bytes))).toBe(false)
  })

  test('is not judged by a store that does not answer', async () => {
    const error = new BlobFault('WEIR_BLOB_UNREACHABLE', 'away')
    const file = bytesInStore({ read: () => throwError(() => error) }, { name, bytes: 1_000 })
    await expect(decided(file)).rejects.toBe(error)
  })
})

test('a spool is read across its pieces', async () => {
  const bytes = Buffer.from('0123456789')
  const spool = bytesInSpool({ bytes: 10, readAt: (offset) => of(bytes.subarray(offset, offset + 3)) })
  expect(spool.size).toBe(10)
  expect(String(await spool.read(1, 8))).toBe('1234567')
  expect(String(await spool.read(8, 20))).toBe('89')
})
