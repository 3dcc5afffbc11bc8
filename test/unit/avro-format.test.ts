import { promisify } from 'node:util'
import zlib from 'node:zlib'
import avsc from 'avsc'
import fc from 'fast-check'
import * as snappy from 'snappy'
import { describe, expect, test } from 'vitest'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { columnNames, fileOf, gathered, plainRow, type ReadRow, rowCase } from '../support/archive-rows.js'

const { BlockDecoder } = avsc.streams
const decompress = promisify(zlib.inflateRaw)

type Callback = (error: Error | null, bytes?: Buffer) => void
const calling = (read: (bytes: Buffer) => Promise<Buffer | string>) => (bytes: Buffer, done: Callback) =>
  void read(bytes).then(
    (raw) => done(null, Buffer.from(raw)),
    (error: Error) => done(error),
  )

const codecs = {
  null: (bytes: Buffer, done: Callback) => done(null, bytes),
  deflate: calling((bytes) => decompress(bytes)),
  snappy: calling((bytes) => snappy.uncompress(bytes.subarray(0, -4))),
}

/** Longs that numbers can't hold. */
const long = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (one: bigint, other: bigint) => (one < other ? -1 : one > other ? 1 : 0),
})

const isLong = (schema: avsc.Schema) => schema === 'long' || (schema as { readonly type?: unknown }).type === 'long'

type Values = Record<string, unknown> & { readonly extensions: Record<string, string> }
interface Container {
  readonly schema: {
    readonly fields: readonly { readonly name: string; readonly type: unknown; readonly 'field-id': number }[]
  }
  readonly codec: string
  readonly marker: Buffer
  readonly rows: readonly ReadRow[]
}

async function read(file: Buffer): Promise<Container> {
  const typeHook = (schema: avsc.Schema) => (isLong(schema) ? long : undefined)
  const decoder = new BlockDecoder({ codecs, parseHook: (schema) => avsc.Type.forSchema(schema, { typeHook }) })
  const header = new Promise<Pick<Container, 'schema' | 'codec'>>((resolve) =>
    decoder.on('metadata', (_type: unknown, codec: string, { meta }: { meta: Record<string, Buffer> }) =>
      resolve({ codec, schema: JSON.parse(String(meta['avro.schema'])) as Container['schema'] }),
    ),
  )
  const rows: ReadRow[] = []
  decoder.on('data', (row: Values) => rows.push(normal(row)))
  const end = new Promise((resolve, reject) => decoder.on('end', resolve).on('error', reject))
  decoder.end(file)
  await end
  return { ...(await header), marker: file.subarray(-16), rows }
}

const digits = (value: unknown) => (value === null ? null : `${value as bigint}`)
const hex = (value: unknown) => (value === null ? null : (value as Buffer).toString('hex'))

function normal(row: Values): ReadRow {
  const headers = row['kafka_headers'] as { name: string; value: Buffer | null }[]
  return {
    ...row,
    time: digits(row['time']),
    kafka_timestamp: digits(row['kafka_timestamp']),
    kafka_offset: digits(row['kafka_offset']),
    extensions: Object.entries(row.extensions),
    data_bytes: hex(row['data_bytes']),
    kafka_key: hex(row['kafka_key']),
    kafka_headers: headers.map(({ name, value }) => [name, hex(value)] as const),
  } as unknown as ReadRow
}

test.each(['null', 'deflate', 'snappy'] as const)('avsc finds each value, with %s', async (codec) => {
  await fc.assert(
    fc.asyncProperty(fc.array(rowCase, { minLength: 1, maxLength: 25 }), async (some) => {
      const file = await fileOf(
        avroFormat(codec),
        some.map(({ row }) => row),
      )
      const container = await read(file)
      expect(container.codec).toBe(codec)
      expect(JSON.parse(JSON.stringify(container.rows))).toEqual(some.map(({ read }) => read))
    }),
    { numRuns: 50 },
  )
})

test('the header keeps what kind of long a time is, and the ids of fields', async () => {
  const { schema } = await read(await fileOf(avroFormat('null'), [plainRow(0)]))
  expect(schema.fields.map(({ name }) => name)).toEqual(columnNames)
  expect(schema.fields.find(({ name }) => name === 'time')).toMatchObject({
    type: ['null', { type: 'long', logicalType: 'timestamp-micros' }],
    default: null,
    'field-id': 5,
  })
})

test('a file without rows has no bytes', async () => {
  expect(await fileOf(avroFormat('null'), [])).toHaveLength(0)
  expect(await gathered(avroFormat('null').open().take())).toHaveLength(0)
})

describe('blocks', () => {
  const rows = Array.from({ length: 5_000 }, (_, offset) => plainRow(offset))

  test.each(['null', 'deflate', 'snappy', 'zstandard'] as const)(
    'go out as they fill, and are the same each time, with %s',
    async (codec) => {
      const encoder = avroFormat(codec).open()
      const taken: Buffer[] = []
      let most = 0
      for (const row of rows) {
        encoder.add(row)
        most = Math.max(most, encoder.buffered)
        if (encoder.isReady) taken.push(await gathered(encoder.take()))
      }
      taken.push(await gathered(encoder.end()))
      expect(taken.length).toBeGreaterThan(2)
      expect(most).toBeLessThan(300_000)
      expect(encoder.buffered).toBe(0)
      expect(Buffer.concat(taken).equals(await fileOf(avroFormat(codec), rows))).toBe(true)
    },
  )

  test('are told apart by what their place makes, and nothing by chance', async () => {
    const marker = async (offset: number) => (await read(await fileOf(avroFormat('null'), [plainRow(offset)]))).marker
    expect(await marker(7)).toEqual(await marker(7))
    expect(await marker(7)).not.toEqual(await marker(8))
  })

  test('have all rows, with values larger than one of them', async () => {
    const large = plainRow(5_000, { data: 'ÿ'.repeat(600_000) })
    const container = await read(await fileOf(avroFormat('deflate'), [...rows, large, plainRow(5_001)]))
    expect(container.rows.map(({ kafka_offset }) => Number(kafka_offset))).toEqual(
      Array.from({ length: 5_002 }, (_, n) => n),
    )
    expect(container.rows[5_000]?.data === large.data).toBe(true)
  })
})
