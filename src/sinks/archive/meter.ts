import { EncodingTime } from '../../codecs/archive/encoding-time.js'
import { Distribution, isWeirError, type MetricReading, type StageMetric } from '../../model/index.js'
import type { BreakerState } from './breaker.js'

type Backend = (typeof backends)[number]

const backends = ['file', 's3', 'azure', 'gcs'] as const
const states = ['closed', 'open', 'half-open'] as const satisfies readonly BreakerState['state'][]
const codes = [
  'WEIR_BLOB_UNREACHABLE',
  'WEIR_BLOB_REFUSED',
  'WEIR_BLOB_MISSING',
  'WEIR_BLOB_CONFLICT',
  'WEIR_BLOB_NAME',
] as const
const writeSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

const [store, buffer] = [backends, ['memory', 'waiting']] as const
/** The stores, and the disk where files wait for them. */
const places = [...backends, 'spool'] as const

const metrics = {
  buffered: {
    name: 'archive_buffer_bytes',
    help: 'What is not stored yet: `memory` are rows of files that are being filled, `waiting` are complete files on disk.',
    kind: 'gauge',
    labels: { buffer },
  },
  used: {
    name: 'archive_buffer_utilisation_ratio',
    help: 'How much of maxBuffered (`memory`) and of maxWaiting (`waiting`) that is, from 0 to 1.',
    kind: 'gauge',
    together: 'max',
    labels: { buffer },
  },
  encoding: {
    name: 'archive_encoding_seconds_total',
    help: 'How long rows took to become bytes, reckoned from one in 61. What compresses runs beside, and is not in it.',
    kind: 'counter',
  },
  writing: {
    name: 'archive_write_duration_seconds',
    help: 'From the first request for a file until it was stored, with all that was tried again.',
    kind: 'histogram',
    labels: { store },
  },
  files: { name: 'archive_files_total', help: 'Files stored.', kind: 'counter', labels: { store }, shown: 'files' },
  records: { name: 'archive_records_total', help: 'Records in stored files.', kind: 'counter', labels: { store } },
  bytes: {
    name: 'archive_bytes_total',
    help: 'Bytes of stored files.',
    kind: 'counter',
    labels: { store },
    shown: 'stored',
  },
  failures: {
    name: 'archive_failures_total',
    help: 'Requests that failed and were tried again, and files that could not be stored, by the code of the error.',
    kind: 'counter',
    labels: { store: places, code: codes },
  },
  breaker: {
    name: 'archive_breaker_state',
    help: '1 for the state of the breaker before the store or the spool, 0 for the others; of several workers, how many are in it.',
    kind: 'gauge',
    labels: { store: places, state: states },
  },
  age: {
    name: 'archive_unstored_age_seconds',
    help: 'Since the timestamp of the oldest record that was read and is in no stored file; 0 where there is none.',
    kind: 'gauge',
    together: 'max',
  },
} as const satisfies Record<string, StageMetric>

export const archiveMetrics: readonly StageMetric[] = Object.values(metrics)

/** What an archive has in hand. */
export interface InHand {
  /** Bytes of rows in memory, and of complete files on disk. */
  readonly memory: number
  readonly waiting: number
  /** How old the oldest record is, seconds. */
  readonly age: number
  /** The breakers. */
  readonly store: BreakerState['state']
  readonly spool: BreakerState['state']
}

export interface MeterLimits {
  readonly maxBuffered: number
  readonly maxWaiting: number
}

/** Counts what an archive does, and tells it as metrics. */
export class Meter {
  readonly encoding = new EncodingTime()
  readonly store: Failures
  readonly spool = new Failures('spool')
  private readonly writing = new Distribution(writeSeconds)
  private records = 0
  private bytes = 0

  constructor(private readonly backend: Backend) {
    this.store = new Failures(backend)
  }

  /** A file is stored. */
  stored({ records, bytes, seconds }: { records: number; bytes: number; seconds: number }): void {
    this.writing.add(seconds)
    this.records += records
    this.bytes += bytes
  }

  readings({ memory, waiting, age, store, spool }: InHand, limits: MeterLimits): readonly MetricReading[] {
    const labels = { store: this.backend }
    const { writing, records, bytes } = this
    return [
      { metric: metrics.buffered, labels: { buffer: 'memory' }, value: memory },
      { metric: metrics.buffered, labels: { buffer: 'waiting' }, value: waiting },
      { metric: metrics.used, labels: { buffer: 'memory' }, value: memory / limits.maxBuffered },
      { metric: metrics.used, labels: { buffer: 'waiting' }, value: waiting / limits.maxWaiting },
      { metric: metrics.encoding, value: this.encoding.seconds },
      { metric: metrics.writing, labels, value: writing },
      { metric: metrics.files, labels, value: writing.count },
      { metric: metrics.records, labels, value: records },
      { metric: metrics.bytes, labels, value: bytes },
      ...this.store.readings(),
      ...this.spool.readings(),
      ...breakerReadings(this.backend, store),
      ...breakerReadings('spool', spool),
      { metric: metrics.age, value: age },
    ]
  }
}

/** Counts what has failed at one place. */
class Failures {
  private readonly counts = new Map<string, number>([...codes, 'other'].map((code) => [code, 0]))

  constructor(private readonly place: (typeof places)[number]) {}

  /** A request, or a file. */
  readonly add = (error: unknown): void => {
    const code = isWeirError(error) && this.counts.has(error.code) ? error.code : 'other'
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1)
  }

  /** Those that are none, too: what appears with a count is no increase to those who ask for the rate of it. */
  readings(): readonly MetricReading[] {
    return Array.from(this.counts, ([code, value]) => {
      return { metric: metrics.failures, labels: { store: this.place, code }, value }
    })
  }
}

function breakerReadings(place: string, now: BreakerState['state']): readonly MetricReading[] {
  return states.map((state) => {
    return { metric: metrics.breaker, labels: { store: place, state }, value: state === now ? 1 : 0 }
  })
}
