import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ArchiveRow, FileFormat } from '../../src/codecs/archive/file-format.js'
import type { ArchiveFile, ReadRow } from '../../src/codecs/archive/file-reader.js'
import { openAvro } from '../../src/codecs/avro/avro-file.js'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { openParquet } from '../../src/codecs/parquet/parquet-file.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { fileOf, plainRow, rowCase } from '../support/archive-rows.js'
import { DuckDb } from '../support/duckdb.js'

const open = (file: Buffer, format: FileFormat): Promise<ArchiveFile> => {
  const bytes = { size: file.length, read: (from: number, to: number) => Promise.resolve(file.subarray(from, to)) }
  return format.extension === 'avro' ? openAvro('a.avro', bytes) : openParquet('a.parquet', bytes)
}

const formats = [
  ...(['none', 'snappy', 'gzip', 'zstd'] as const).map((codec) => [`Parquet, ${codec}`, parquetFormat(codec)] as const),
  ...(['null', 'deflate', 'snappy', 'zstandard'] as const).map(
    (codec) => [`Avro, ${codec}`, avroFormat(codec)] as const,
  ),
]

async function read(file: Buffer, format: FileFormat): Promise<ReadRow[]> {
  const rows: ReadRow[] = []
  for await (const some of (await open(file, format)).rows()) rows.push(...some)
  return rows
}

/** What has to come back of a row. */
function expected({ data, dataBytes, extensions = {}, timestamp = -1, key = null, headers = [], ...row }: ArchiveRow) {
  const bytes = dataBytes ?? (data instanceof Uint8Array && !isUtf8(data) ? data : undefined)
  return {
    ...row,
    extensions,
    timestamp,
    data: bytes === undefined && data !== undefined ? Buffer.from(data).toString() : undefined,
    dataBytes: bytes === undefined ? undefined : Buffer.from(bytes),
    key: key === null ? null : Buffer.from(key),
    headers: headers.map((header) =>
      Object.fromEntries(Object.entries(header).map(([name, value]) => [name, Buffer.from(value)])),
    ),
  }
}

test.each(formats)('each value is read as it was written: %s', async (_, format) => {
  await fc.assert(
    fc.asyncProperty(fc.array(rowCase, { minLength: 1, maxLength: 25 }), async (some) => {
      const rows = some.map(({ row }) => row)
      expect(await read(await fileOf(format, rows), format)).toEqual(rows.map(expected))
    }),
    { numRuns: 50 },
  )
})

test.each(formats)('a header without a value is none with an empty one: %s', async (_, format) => {
  const headers = [{ a: null }, { a: Buffer.alloc(0) }, { b: Buffer.from('1') }] as never
  const [row] = await read(await fileOf(format, [plainRow(1, { headers })]), format)
  expect(row?.headers).toEqual(headers)
})

describe.each([
  ['Parquet', parquetFormat('zstd')],
  ['Avro', avroFormat('zstandard')],
] as const)('%s', (_, format) => {
  test('of many groups, with large values and subjects that do not repeat, comes back in order', async () => {
    const rows = Array.from({ length: 40_000 }, (_, offset) =>
      plainRow(offset, { subject: `subject-${offset}`, data: 'd'.repeat(offset % 2_000), key: null }),
    )
    const file = await fileOf(format, rows)
    let next = 0
    for await (const some of (await open(file, format)).rows()) {
      for (const { offset, subject, data } of some) {
        if (offset !== next || subject !== `subject-${next}` || data?.length !== next % 2_000)
          expect({ offset, subject }).toEqual({ offset: next, subject: `subject-${next}` })
        next++
      }
    }
    expect(next).toBe(rows.length)
    expect(await (await open(file, format)).summary()).toMatchObject({
      rows: 40_000,
      topics: ['orders', 'orders'],
      partitions: [0, 0],
      offsets: [0, 39_999],
    })
  })

  test('that is cut or altered is told as unreadable, and never as rows', async () => {
    const rows = [0, 1, 2].map((offset) => plainRow(offset))
    const file = await fileOf(format, rows)
    for (let length = 0; length < file.length; length += 7)
      await expect(read(file.subarray(0, length), format), `${length} bytes`).rejects.toMatchObject({
        code: 'WEIR_ARCHIVE_UNREADABLE',
      })
  })

  test('with random bytes in it ends, and errs with one code', async () => {
    const file = await fileOf(
      format,
      [0, 1, 2].map((offset) => plainRow(offset)),
    )
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.nat(255), async (at, byte) => {
        const altered = Buffer.from(file)
        altered[at] = byte
        await read(altered, format).catch((error: unknown) =>
          expect(error).toMatchObject({ code: 'WEIR_ARCHIVE_UNREADABLE' }),
        )
      }),
      { numRuns: 300 },
    )
  })
})

test('row groups that nobody wants are not read', async () => {
  const rows = Array.from({ length: 30_000 }, (_, offset) => plainRow(offset, { data: 'd'.repeat(1_000) }))
  const file = await fileOf(parquetFormat('none'), rows)
  let bytes = 0
  const opened = await openParquet('a.parquet', {
    size: file.length,
    read: (from, to) => {
      bytes += to - from
      return Promise.resolve(file.subarray(from, to))
    },
  })
  const found: number[] = []
  for await (const some of opened.rows(({ offsets: [first, last] }) => first <= 25_000 && 25_000 <= last))
    found.push(...some.map(({ offset }) => offset))
  expect(found).toContain(25_000)
  expect(found[0]).toBeGreaterThan(1_000)
  expect(bytes).toBeLessThan(file.length * 0.7)
})

test('a summary tells what types and times there are', async () => {
  const format = parquetFormat('zstd')
  const rows = [0, 1, 2].map((offset) => plainRow(offset, offset === 1 ? { time: undefined } : {}))
  const summary = await (await open(await fileOf(format, rows), format)).summary()
  const start = BigInt(Date.UTC(2026, 0, 1)) * 1_000n
  expect(summary).toMatchObject({
    types: ['order.created', 'order.shipped'],
    // The first is of an event, the last of the arrival of one.
    times: [start, start + 25_000n],
  })
})

test('Parquet of somebody else is told as foreign', async () => {
  const duck = await DuckDb.start()
  try {
    const path = duck.file(Buffer.alloc(0))
    await duck.query(`COPY (SELECT 1 AS id, 'a' AS source) TO '${path}' (FORMAT parquet)`)
    const { readFileSync } = await import('node:fs')
    await expect(read(readFileSync(path), parquetFormat('none'))).rejects.toMatchObject({
      code: 'WEIR_ARCHIVE_UNREADABLE',
      message: expect.stringContaining('its column id is none of an archive') as string,
    })
  } finally {
    duck.close()
  }
})
