import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { columnNames, fileOf, plainRow, rowCase } from '../support/archive-rows.js'
import { missingPython } from './python-install.js'
import { PythonReader } from './python-reader.js'

const missing = missingPython()
const cases = fc.array(rowCase, { minLength: 1, maxLength: 25 })

describe.skipIf(missing !== undefined)(
  `files as Python reads them${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let python: PythonReader
    beforeAll(() => {
      python = new PythonReader()
    })
    afterAll(() => python.close())

    test.each(['none', 'snappy', 'gzip', 'zstd'] as const)(
      'pyarrow finds each value of Parquet with %s',
      async (codec) => {
        await fc.assert(
          fc.asyncProperty(cases, async (some) => {
            const file = await fileOf(
              parquetFormat(codec),
              some.map(({ row }) => row),
            )
            const { rows } = await python.read({ 'one.parquet': file })
            expect(rows).toEqual(some.map(({ read }) => read))
          }),
          { numRuns: 50 },
        )
      },
    )

    test.each(['null', 'deflate', 'snappy', 'zstandard'] as const)(
      'fastavro finds each value of Avro with %s',
      async (codec) => {
        await fc.assert(
          fc.asyncProperty(cases, async (some) => {
            const file = await fileOf(
              avroFormat(codec),
              some.map(({ row }) => row),
            )
            const read = await python.read({ 'one.avro': file })
            expect(read.codec).toBe(codec)
            expect(read.rows).toEqual(some.map(({ read }) => read))
          }),
          { numRuns: 50 },
        )
      },
    )

    test('pyarrow reads the columns as what they are, and Iceberg their ids', async () => {
      const { schema, ids } = await python.read({ 'one.parquet': await fileOf(parquetFormat('zstd'), [plainRow(0)]) })
      expect(schema).toEqual({
        id: 'string',
        source: 'string',
        type: 'string',
        subject: 'string',
        time: 'timestamp[us, tz=UTC]',
        time_text: 'string',
        datacontenttype: 'string',
        dataschema: 'string',
        extensions: expect.stringMatching(/^map<string, string\b/) as unknown,
        data: 'string',
        data_bytes: 'binary',
        kafka_topic: 'string',
        kafka_partition: 'int32',
        kafka_offset: 'int64',
        kafka_timestamp: 'timestamp[us, tz=UTC]',
        kafka_key: 'binary',
        kafka_headers: 'list<element: struct<name: string not null, value: binary> not null>',
        extension_types: 'string',
      })
      expect(ids).toEqual(Object.fromEntries(columnNames.map((name, index) => [name, index + 1])))
    })

    test('a table of Iceberg takes the files over', async () => {
      const files = await Promise.all(
        [0, 1].map((n) =>
          fileOf(
            parquetFormat('zstd'),
            [0, 1, 2, 3].map((offset) => plainRow(offset + n * 4)),
          ),
        ),
      )
      const table = await python.iceberg(Object.fromEntries(files.map((file, n) => [`${n}.parquet`, file])))
      expect(table).toEqual({ rows: 8, paid: [1, 4, 7] })
    })

    test('Spark is told that old times are of no older calendar', async () => {
      const { metadata } = await python.read({ 'one.parquet': await fileOf(parquetFormat('none'), [plainRow(0)]) })
      expect(metadata).toEqual({ 'org.apache.spark.version': '3.0.0' })
    })

    test('files of each compression are one table to pyarrow', async () => {
      const codecs = ['none', 'snappy', 'gzip', 'zstd'] as const
      const files = await Promise.all(codecs.map((codec, index) => fileOf(parquetFormat(codec), [plainRow(index)])))
      const { rows } = await python.read(Object.fromEntries(files.map((file, index) => [`${index}.parquet`, file])))
      expect(rows.map(({ kafka_offset }) => kafka_offset)).toEqual(['0', '1', '2', '3'])
    })

    test('pyarrow is told what is least and largest, and takes it for true', async () => {
      const file = await fileOf(
        parquetFormat('zstd'),
        Array.from({ length: 30 }, (_, offset) => plainRow(offset)),
      )
      const { statistics } = await python.read({ 'one.parquet': file })
      expect(statistics).toEqual([
        {
          source: ['/shops/berlin', '/shops/berlin'],
          type: ['order.created', 'order.shipped'],
          time: ['2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00.290000+00:00'],
          datacontenttype: ['application/json', 'application/json'],
          kafka_topic: ['orders', 'orders'],
          kafka_partition: ['0', '0'],
          kafka_offset: ['0', '29'],
          kafka_timestamp: ['2026-01-01 00:00:00.005000+00:00', '2026-01-01 00:00:00.295000+00:00'],
        },
      ])
    })

    test('many row groups, with pages of large values and subjects that do not repeat, come back in order', async () => {
      const rows = Array.from({ length: 40_000 }, (_, offset) =>
        plainRow(offset, { subject: `subject-${offset}`, data: 'd'.repeat(offset % 2_000) }),
      )
      const digest = createHash('sha256')
      for (const { offset, subject, data } of rows) digest.update(`${offset} ${subject} ${String(data)}\n`)
      const parquet = await python.read({ 'many.parquet': await fileOf(parquetFormat('snappy'), rows) })
      expect(parquet.statistics?.length).toBeGreaterThan(2)
      const avro = await python.read({ 'many.avro': await fileOf(avroFormat('zstandard'), rows) })
      const expected = digest.digest('hex')
      expect([parquet.digest, avro.digest]).toEqual([expected, expected])
    })
  },
)
