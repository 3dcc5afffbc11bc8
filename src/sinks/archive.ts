import { join } from 'node:path'
import { z } from 'zod'
import type { ArchiveRow } from '../codecs/archive/file-format.js'
import { instantOf, wholeMs } from '../codecs/archive/instant.js'
import { type AvroCompression, avroFormat } from '../codecs/avro/avro-format.js'
import { type ParquetCompression, parquetFormat } from '../codecs/parquet/parquet-format.js'
import {
  type Configurable,
  defineSink,
  fn,
  rejectionPolicy,
  type Setting,
  type Sink,
  someTime,
} from '../model/index.js'
import { countingCommands, filesOf } from './archive/commands.js'
import { archiveMetrics, Meter } from './archive/meter.js'
import { openStore, storeOptions } from './archive/open-store.js'
import { rowOf, versionReader } from './archive/rows.js'
import { haveSameRecords, isDecided } from './archive/same-records.js'
import { spoolsIn } from './archive/spool.js'
import { ArchiveTask } from './archive/task.js'

const mebibyte = 1 << 20

/** What Avro has the compressions under. */
const avroCompressions = { none: 'null', snappy: 'snappy', gzip: 'deflate', zstd: 'zstandard' } as const

type VersionOf = (event: { readonly dataschema?: string | undefined; readonly type: string }) => string

const options = z.strictObject({
  store: storeOptions.describe('Where the files go, and how to get there.'),
  format: z.enum(['parquet', 'avro']).default('parquet').describe('What the files are.'),
  compression: z
    .enum(['none', 'snappy', 'gzip', 'zstd'])
    .default('zstd')
    .describe('What compresses them; `gzip` is `deflate` in Avro.'),
  maxBytes: z
    .int()
    .min(1)
    .default(128 * mebibyte)
    .describe('How large a file becomes before it is cut, bytes.'),
  maxRecords: z.int().min(1).default(1_000_000).describe('How many records a file has before it is cut.'),
  every: someTime.default(300_000).describe('After how long a file is cut that waits for more.'),
  maxBuffered: z
    .int()
    .min(mebibyte)
    .default(256 * mebibyte)
    .describe('How many bytes of records may be in memory, over all files; the largest is cut before there are more.'),
  maxWaiting: z
    .int()
    .min(1)
    .default(1_024 * mebibyte)
    .describe('How many bytes of files may wait on disk to be stored before nothing more is read.'),
  time: z
    .enum(['event', 'arrival'])
    .default('event')
    .describe(
      'What says the day of a record: the time of its event, where it has one, or the timestamp of its record.',
    ),
  version: fn<VersionOf>()
    .optional()
    .describe(
      'The schema version of an event, for its path; `v2` of `…/order/v2.json` if not given, and `v1` without.',
    ),
  onError: rejectionPolicy
    .optional()
    .describe(
      'What becomes of a record that can not be archived: `fail`, `dead-letter` or `skip`. Default `dead-letter`, or `skip` where no connection takes dead letters.',
    ),
  name: z.string().min(1).default('archive').describe('Names the stage and its store: state is found again by it.'),
})

export const archiveSink = defineSink({
  name: 'archive.sink',
  summary: 'Keeps CloudEvents as Parquet or Avro files.',
  options,
  onError: 'dead-letter',
  onErrorAlone: 'skip',
  guarantee: () => 'exactly-once',
  holds: true,
  stores: ({ name }) => [name],
  detail: ({ store, format }) => filesOf(store, format),
  metrics: archiveMetrics,
  makes: 'files',
  shows: ({ store, format }) => [...countingCommands(store, format), 'npx weir archive verify'],
  build: ({ store, format, compression, every: everyMs, time, version = versionReader(), ...settings }, context) => {
    const { clock, log, dataDirectory } = context
    const formats = {
      parquet: (codec: string = compression) => parquetFormat(codec as ParquetCompression),
      avro: (codec: string = avroCompressions[compression]) => avroFormat(codec as AvroCompression),
    }
    const meter = new Meter(store.backend)
    return new ArchiveTask(
      {
        ...settings,
        everyMs,
        format: formats[format](),
        formatOf: ({ name, codec }) => formats[name.endsWith('.avro') ? 'avro' : 'parquet'](codec),
        isDecided,
        haveSameRecords,
        rowOf,
        versionOf: version,
        timeOf(row) {
          const micros = time === 'event' && row.time !== undefined ? instantOf(row.time) : undefined
          return micros === undefined ? arrivalOf(row) : wholeMs(micros)
        },
      },
      () => openStore(store, { clock, log, failed: meter.store.add }),
      () => spoolsIn(join(dataDirectory, 'spool'), { clock, log, failed: meter.spool.add }),
      context,
      meter,
    )
  },
})

/** No day beyond has a name of ten characters. */
const lastTime = Date.parse('9999-12-31T23:59:59.999Z')

/** Kafka takes any time from 1970 on, and -1 for none. */
function arrivalOf({ timestamp = 0 }: ArchiveRow): number {
  return Math.min(lastTime, Math.max(0, timestamp))
}

/** The options of `archive.sink`. */
export type ArchiveSinkOptions = Configurable<Omit<z.input<typeof options>, 'version'>> & {
  /** The schema version of an event, for its path. It may be any text; what no path takes is escaped. */
  readonly version?: VersionOf | Setting<VersionOf>
}

/**
 * Keeps each event in exactly one file, whatever crashes: `{topic}/{version}/dt={day}/pid={partition}/{time}_offset{first
 * offset}_count{records}.{format}`, day and time in UTC. A file is never visible half written, and never has no records.
 *
 * A file is cut by its size, its records or its age, and when its partition moves to another process. Which records it has and
 * what it is called is committed before it is stored, so that whoever goes on after a crash makes the same file again. Until
 * it is stored the position of its partition stays at its first record. What is finished of a file waits on disk, in the data
 * directory.
 *
 * Put `cloudEvents.decode({ data: 'raw' })` before it: data is kept as it came then.
 */
export function sink(options: ArchiveSinkOptions): Sink<unknown> {
  return archiveSink.declare(options)
}
