import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { UnencodableError } from '../../src/model/index.js'
import { fileOf, gathered, plainRow, rowCase } from '../support/archive-rows.js'
import { DuckDb } from '../support/duckdb.js'

const plain = parquetFormat('none')
const rowsOf = (count: number, fields: Parameters<typeof plainRow>[1] = {}) =>
  Array.from({ length: count }, (_, offset) => plainRow(offset, fields))

let duck: DuckDb
beforeAll(async () => {
  duck = await DuckDb.start()
})
afterAll(() => duck.close())

test.each(['none', 'snappy', 'gzip', 'zstd'] as const)('DuckDB finds each value, with %s', async (codec) => {
  await fc.assert(
    fc.asyncProperty(fc.array(rowCase, { minLength: 1, maxLength: 25 }), async (some) => {
      const file = await fileOf(
        parquetFormat(codec),
        some.map(({ row }) => row),
      )
      expect(await duck.rows(duck.file(file))).toEqual(some.map(({ read }) => read))
    }),
    { numRuns: 50 },
  )
})

test('the schema is the one that Spark and Iceberg take: no nanoseconds, nothing unsigned, each field with its id', async () => {
  const path = duck.file(await fileOf(plain, [plainRow(0)]))
  const sql = `SELECT concat_ws(' ', field_id, name, type, repetition_type, converted_type) AS line FROM parquet_schema('${path}')`
  expect((await duck.query<{ line: string }>(sql)).map(({ line }) => line)).toEqual([
    'event',
    '1 id BYTE_ARRAY REQUIRED UTF8',
    '2 source BYTE_ARRAY REQUIRED UTF8',
    '3 type BYTE_ARRAY REQUIRED UTF8',
    '4 subject BYTE_ARRAY OPTIONAL UTF8',
    '5 time INT64 OPTIONAL TIMESTAMP_MICROS',
    '6 time_text BYTE_ARRAY OPTIONAL UTF8',
    '7 datacontenttype BYTE_ARRAY OPTIONAL UTF8',
    '8 dataschema BYTE_ARRAY OPTIONAL UTF8',
    '9 extensions REQUIRED MAP',
    'key_value REPEATED',
    '19 key BYTE_ARRAY REQUIRED UTF8',
    '20 value BYTE_ARRAY REQUIRED UTF8',
    '10 data BYTE_ARRAY OPTIONAL UTF8',
    '11 data_bytes BYTE_ARRAY OPTIONAL',
    '12 kafka_topic BYTE_ARRAY REQUIRED UTF8',
    '13 kafka_partition INT32 REQUIRED',
    '14 kafka_offset INT64 REQUIRED',
    '15 kafka_timestamp INT64 OPTIONAL TIMESTAMP_MICROS',
    '16 kafka_key BYTE_ARRAY OPTIONAL',
    '17 kafka_headers REQUIRED LIST',
    'list REPEATED',
    '21 element REQUIRED',
    '22 name BYTE_ARRAY REQUIRED UTF8',
    '23 value BYTE_ARRAY OPTIONAL',
    '18 extension_types BYTE_ARRAY OPTIONAL UTF8',
  ])
  const types = await duck.query<{ column_name: string; column_type: string }>(`DESCRIBE FROM '${path}'`)
  expect(types.filter(({ column_name }) => /time$|timestamp/.test(column_name))).toMatchObject([
    { column_name: 'time', column_type: 'TIMESTAMP WITH TIME ZONE' },
    { column_name: 'kafka_timestamp', column_type: 'TIMESTAMP WITH TIME ZONE' },
  ])
})

test('a file without rows has no bytes, whoever asks', async () => {
  const encoder = plain.open()
  expect(await gathered(encoder.take())).toHaveLength(0)
  expect(await gathered(encoder.end())).toHaveLength(0)
})

test('what an optional column begins with does not decide what it is', async () => {
  const rows = rowsOf(1_002).map((row, offset) =>
    offset < 1_000
      ? { ...row, subject: undefined, key: null, time: undefined, data: undefined }
      : { ...row, subject: 's' },
  )
  const read = await duck.rows(duck.file(await fileOf(plain, rows)))
  expect(read[999]).toMatchObject({ subject: null, kafka_key: null, time: null, data: null })
  expect(read[1_001]).toMatchObject({ subject: 's', data: rows[1_001]?.data })
})

test('text that does not repeat after all, or is long, is written as it is', async () => {
  const rows = rowsOf(30_000).map((row, offset) => ({
    ...row,
    subject: offset < 100 || offset % 7 === 0 ? `same-${offset % 5}` : offset === 29_998 ? 'zzz' : `other-${offset}`,
    dataschema: offset % 3 === 0 ? undefined : `https://example.org/${'long/'.repeat(offset % 40)}${offset}`,
  }))
  const path = duck.file(await fileOf(plain, rows))
  const read = await duck.rows(path)
  expect(await duck.query(`SELECT kafka_offset FROM '${path}' WHERE subject = 'zzz'`)).toEqual([
    { kafka_offset: '29998' },
  ])
  expect(read.map(({ subject, dataschema }) => [subject, dataschema])).toEqual(
    rows.map(({ subject, dataschema }) => [subject, dataschema ?? null]),
  )
})

test('values of a megabyte come back, and are in nobody’s footer', async () => {
  const large = 'ÿ"}{'.repeat(250_000)
  const bytes = Buffer.alloc(1_000_000, 0xfe)
  const rows = [plainRow(0, { data: large }), plainRow(1), plainRow(2, { data: bytes, key: bytes, subject: large })]
  const file = await fileOf(parquetFormat('zstd'), rows)
  const [first, , third] = await duck.rows(duck.file(file))
  expect(first?.data === large).toBe(true)
  expect(third?.data_bytes === bytes.toString('hex') && third.kafka_key === third.data_bytes).toBe(true)
  expect(file.readUInt32LE(file.length - 8)).toBeLessThan(5_000)
})

describe('row groups', () => {
  const rows = rowsOf(60_000, { data: 'd'.repeat(700) })

  test('go out as they fill, so that what is held is bounded by one of them', async () => {
    const encoder = parquetFormat('none').open()
    let most = 0
    const taken: Buffer[] = []
    for (const row of rows) {
      encoder.add(row)
      most = Math.max(most, encoder.buffered)
      if (encoder.isReady) taken.push(await gathered(encoder.take()))
    }
    expect(taken.length).toBeGreaterThan(1)
    expect(most).toBeLessThan(17_500_000)
    expect(most).toBeGreaterThan(16_000_000)
    taken.push(await gathered(encoder.end()))
    expect(encoder.buffered).toBe(0)
    const all = Buffer.concat(taken)
    expect(all.equals(await fileOf(plain, rows))).toBe(true)
    const [count] = await duck.query<{ n: string }>(`SELECT count(*) AS n FROM '${duck.file(all)}'`)
    expect(Number(count?.n)).toBe(rows.length)
  })

  test('hold what is compressed, once it is', async () => {
    const encoder = parquetFormat('zstd').open()
    for (const row of rows.slice(0, 20_000)) encoder.add(row)
    const before = encoder.buffered
    await gathered(encoder.take())
    while (encoder.buffered > 6_000_000) await new Promise(setImmediate)
    expect(before).toBeGreaterThan(14_000_000)
    expect(encoder.isReady).toBe(false)
  })
})

test('the same rows make the same bytes, in each compression', async () => {
  const rows = rowsOf(3_000)
  for (const codec of ['none', 'snappy', 'gzip', 'zstd'] as const) {
    const [one, other] = [await fileOf(parquetFormat(codec), rows), await fileOf(parquetFormat(codec), rows)]
    expect(one.equals(other)).toBe(true)
  }
})

test('files of each compression are one table, of one schema', async () => {
  const paths: string[] = []
  for (const [index, codec] of (['none', 'snappy', 'gzip', 'zstd'] as const).entries()) {
    const row = plainRow(index, index === 0 ? { subject: undefined, time: undefined } : { subject: `s${index}` })
    paths.push(duck.file(await fileOf(parquetFormat(codec), [row])))
  }
  const read = await duck.rows(...paths)
  expect(read.map(({ subject, time }) => [subject, time === null])).toEqual([
    [null, true],
    ['s1', false],
    ['s2', false],
    ['s3', false],
  ])
})

describe('DuckDB passes over what it does not need', () => {
  const rows = rowsOf(60_000, { data: 'd'.repeat(700) }).map((row, offset) =>
    offset < 30_000 ? { ...row, type: offset % 2 === 0 ? 'a' : 'z' } : { ...row, type: 'm' },
  )
  let path: string
  beforeAll(async () => {
    const file = await fileOf(parquetFormat('zstd'), rows)
    const whole = duck.file(file)
    const [group] = await duck.query<{ start: string; size: string }>(`
      SELECT min(coalesce(dictionary_page_offset, data_page_offset)) AS start, sum(total_compressed_size) AS size
      FROM parquet_metadata('${whole}') WHERE row_group_id = 0`)
    // Nothing of the first row group can be read any more, and who reads of it all the same fails.
    const start = Number(group?.start)
    path = duck.file(file.fill(0xff, start, start + Number(group?.size)))
  })

  const count = async (where: string) => {
    const [found] = await duck.query<{ n: string }>(
      `SELECT count(data) FILTER (data LIKE 'd%') AS n FROM '${path}' WHERE ${where}`,
    )
    return Number(found?.n)
  }

  test('and needs what is asked for', async () => {
    await expect(count('true')).rejects.toThrow()
    await expect(count("type = 'a'")).rejects.toThrow()
    await expect(count('kafka_offset = 0')).rejects.toThrow()
  })

  test.each([
    ['time', "time >= '2026-01-01 00:09:59Z'", 100],
    ['the time of Kafka', "kafka_timestamp >= '2026-01-01 00:09:59.005Z'", 100],
    ['offset', 'kafka_offset >= 59900', 100],
    ['partition', 'kafka_partition = 7', 0],
    ['a type that lies between others', "type = 'm' AND kafka_offset >= 0", 30_000],
    ['a type that is in no file', "type = 'b'", 0],
    ['topic', "kafka_topic = 'none'", 0],
  ])('by %s', async (_, where, expected) => {
    expect(await count(where)).toBe(expected)
  })

  test('but finds text of each alphabet, however its bytes are ordered', async () => {
    const types = ['', 'z', '\uff45', '\u{1d11e}', '\u{1d11e}'.repeat(100)]
    for (const some of [types, types.slice(0, 4), types.slice(2, 4)]) {
      const file = await fileOf(
        plain,
        some.map((type, offset) => plainRow(offset, { type })),
      )
      const alphabets = duck.file(file)
      for (const type of some)
        expect(await duck.query(`SELECT type FROM '${alphabets}' WHERE type = '${type}'`)).toEqual([{ type }])
    }
  })

  test('but by nothing that is long or never repeats, of which no footer tells', async () => {
    const told = await duck.query<{ path_in_schema: string }>(
      `SELECT DISTINCT path_in_schema FROM parquet_metadata('${path}') WHERE stats_max_value IS NOT NULL ORDER BY 1`,
    )
    expect(told.map(({ path_in_schema }) => path_in_schema)).toEqual([
      'datacontenttype',
      'kafka_offset',
      'kafka_partition',
      'kafka_timestamp',
      'kafka_topic',
      'source',
      'time',
      'type',
    ])
  })
})

describe('half of a surrogate pair', () => {
  const half = 'a\ud800'
  const places = {
    id: { id: half },
    subject: { subject: half },
    data: { data: half },
    extensions: { extensions: { a: 'b', c: half } },
    kafka_key: { key: half },
    kafka_headers: { headers: [{ [half]: '' }] },
  }

  test.each(Object.entries(places))(
    'in %s is refused, and leaves nothing of its row behind',
    async (column, fields) => {
      const encoder = plain.open()
      encoder.add(plainRow(0))
      expect(() => encoder.add(plainRow(1, fields))).toThrow(expect.objectContaining({ column }) as Error)
      expect(() => encoder.add(plainRow(1, fields))).toThrow(UnencodableError)
      encoder.add(plainRow(2))
      const read = await duck.rows(duck.file(await gathered(encoder.end())))
      expect(read.map(({ kafka_offset }) => kafka_offset)).toEqual(['0', '2'])
    },
  )

  test('as JSON escapes it is text like any other', async () => {
    const [read] = await duck.rows(duck.file(await fileOf(plain, [plainRow(0, { data: '"\\ud800"' })])))
    expect(read?.data).toBe('"\\ud800"')
  })
})
