import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { lastValueFrom, type Observable, toArray } from 'rxjs'
import type { ArchiveRow, FileFormat } from '../../src/codecs/archive/file-format.js'

/** What a reader has to find: numbers of 64 bits as their digits, bytes in hexadecimal, instants in µs. */
export interface ReadRow {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject: string | null
  readonly time: string | null
  readonly time_text: string | null
  readonly datacontenttype: string | null
  readonly dataschema: string | null
  readonly extensions: readonly (readonly [string, string])[]
  readonly data: string | null
  readonly data_bytes: string | null
  readonly kafka_topic: string
  readonly kafka_partition: number
  readonly kafka_offset: string
  readonly kafka_timestamp: string | null
  readonly kafka_key: string | null
  readonly kafka_headers: readonly (readonly [string, string | null])[]
  readonly extension_types: string | null
}

export const columnNames: readonly (keyof ReadRow)[] = [
  'id',
  'source',
  'type',
  'subject',
  'time',
  'time_text',
  'datacontenttype',
  'dataschema',
  'extensions',
  'data',
  'data_bytes',
  'kafka_topic',
  'kafka_partition',
  'kafka_offset',
  'kafka_timestamp',
  'kafka_key',
  'kafka_headers',
  'extension_types',
]

/** A row, and what has to be read of it. */
export interface RowCase {
  readonly row: ArchiveRow
  readonly read: ReadRow
}

const text = fc.string({ unit: 'binary', maxLength: 60 })
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const broken = bytes.filter((value) => !isUtf8(value))

const [yearOne, yearTenThousand] = [Date.parse('0001-01-01'), Date.UTC(10_000, 0)]

/** A time as RFC 3339 has it, and its µs; none where Python could not hold it. */
const time = fc
  .record({
    local: fc.integer({ min: Date.parse('0000-01-01'), max: yearTenThousand - 1 }),
    fraction: fc.option(fc.stringMatching(/^[0-9]{1,9}$/), { nil: undefined }),
    zone: fc.option(fc.integer({ min: -1_439, max: 1_439 }), { nil: undefined }),
  })
  .map(({ local, fraction, zone }) => {
    const ms = local - (local % 1_000) + (local % 1_000 < 0 ? -1_000 : 0)
    const [two, minutes] = [(n: number) => String(Math.floor(n)).padStart(2, '0'), Math.abs(zone ?? 0)]
    const offset = zone === undefined ? 'Z' : `${zone < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`
    const stamp = new Date(ms).toISOString().slice(0, 19)
    const instant = ms - (zone ?? 0) * 60_000
    const micros = BigInt(instant) * 1_000n + BigInt((fraction ?? '').padEnd(6, '0').slice(0, 6))
    const isHeld = instant >= yearOne && instant < yearTenThousand
    return {
      text: `${stamp}${fraction === undefined ? '' : `.${fraction}`}${offset}`,
      micros: isHeld ? String(micros) : null,
    }
  })

type Data = Pick<ArchiveRow, 'data' | 'dataBytes'> & { readonly read: Pick<ReadRow, 'data' | 'data_bytes'> }

const data: fc.Arbitrary<Data> = fc.oneof(
  fc.constant({ read: { data: null, data_bytes: null } }),
  text.map((value) => ({ data: value, read: { data: value, data_bytes: null } })),
  text.map((value) => ({ data: Buffer.from(value), read: { data: value, data_bytes: null } })),
  broken.map((value) => ({ data: value, read: { data: null, data_bytes: value.toString('hex') } })),
  bytes.map((value) => ({ dataBytes: value, read: { data: null, data_bytes: value.toString('hex') } })),
)

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const few = fc.constantFrom('', 'order.created', 'com.example.order.with.a.long.name.shipped', 'ÿ→𝄞')
const header = fc.tuple(fc.oneof(few, text), fc.oneof(bytes, text))

export const rowCase: fc.Arbitrary<RowCase> = fc
  .record({
    id: text,
    source: fc.oneof(few, text),
    type: few,
    subject: optional(fc.oneof(few, text)),
    time: optional(time),
    datacontenttype: optional(few),
    dataschema: optional(text),
    extensions: optional(
      fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,12}$/), fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 4 }),
    ),
    data,
    topic: fc.constantFrom('events', 'a.b_c-d'),
    partition: fc.constantFrom(0, 1, 23, 2_147_483_647),
    offset: fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER)),
    timestamp: optional(fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 253_402_300_799_999 }))),
    key: optional(fc.oneof(fc.constant(null), bytes, text)),
    headers: optional(fc.array(header, { maxLength: 4 })),
  })
  .map(({ time, data: { read, ...data }, headers, ...fields }) => {
    const row: ArchiveRow = {
      ...fields,
      ...data,
      time: time?.text,
      headers: headers?.map(([name, value]) => ({ [name]: value })),
    }
    return {
      row,
      read: {
        id: row.id,
        source: row.source,
        type: row.type,
        subject: row.subject ?? null,
        time: time?.micros ?? null,
        time_text: time?.text ?? null,
        datacontenttype: row.datacontenttype ?? null,
        dataschema: row.dataschema ?? null,
        extensions: Object.entries(row.extensions ?? {}).map(([name, value]) => [name, String(value)] as const),
        ...read,
        kafka_topic: row.topic,
        kafka_partition: row.partition,
        kafka_offset: String(row.offset),
        kafka_timestamp:
          row.timestamp === undefined || row.timestamp === -1 ? null : String(BigInt(row.timestamp) * 1_000n),
        kafka_key: row.key === null || row.key === undefined ? null : Buffer.from(row.key).toString('hex'),
        kafka_headers: (headers ?? []).map(([name, value]) => [name, Buffer.from(value).toString('hex')] as const),
        extension_types: typesOf(row.extensions ?? {}),
      },
    }
  })

function typesOf(extensions: NonNullable<ArchiveRow['extensions']>): string | null {
  const typed = Object.entries(extensions).filter(([, value]) => typeof value !== 'string')
  const types = typed.map(([name, value]) => `${name}:${typeof value === 'number' ? 'integer' : 'boolean'}`)
  return types.length === 0 ? null : types.join(' ')
}

/** An event of some hundred bytes, as most are; the same for the same offset. */
export function plainRow(offset: number, fields: Partial<ArchiveRow> = {}): ArchiveRow {
  const ms = Date.UTC(2026, 0, 1) + offset * 10
  return {
    id: `event-${String(offset).padStart(12, '0')}`,
    source: '/shops/berlin',
    type: ['order.created', 'order.paid', 'order.shipped'][offset % 3] ?? '',
    time: new Date(ms).toISOString(),
    datacontenttype: 'application/json',
    data: JSON.stringify({ order: offset, note: 'n'.repeat(offset % 50), total: offset / 100 }),
    topic: 'orders',
    partition: 0,
    offset,
    timestamp: ms + 5,
    key: Buffer.from(`customer-${offset % 1_000}`),
    ...fields,
  }
}

/** The file of some rows, handed out at the end. */
export function fileOf(format: FileFormat, rows: Iterable<ArchiveRow>): Promise<Buffer> {
  const encoder = format.open()
  for (const row of rows) encoder.add(row)
  return gathered(encoder.end())
}

export async function gathered(bytes$: Observable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await lastValueFrom(bytes$.pipe(toArray())))
}
