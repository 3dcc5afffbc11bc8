import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'
import type { FlowState, FlowStatus, Observer, PartitionStatus, StageCounts } from '../engine/status.js'
import { isReady } from './health.js'
import type { PortStatus } from './http-server.js'
import type { IntakeAuditStatus } from './intake-audit.js'
import { stageMetrics } from './stage-metrics.js'

const states: readonly FlowState[] = [
  'starting',
  'assigning',
  'idle',
  'running',
  'retrying',
  'draining',
  'stopped',
  'failed',
]
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** A worker's metrics: events are counted as the engine tells them, all else is read from the flows at each scrape. */
export interface Metrics {
  readonly observer: Observer
  readonly contentType: string
  /** In Prometheus' text format. */
  scrape(): Promise<string>
  /** As data, for `sumOf`. */
  values(): Promise<MetricValues>
  close(): void
}

/** All metrics of one worker. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[]

/** What several workers measured, as one, in Prometheus' text format: counts are added up. */
export async function sumOf(workers: readonly MetricValues[]): Promise<string> {
  return AggregatorRegistry.aggregate([...workers] as object[]).metrics()
}

export function createMetrics(
  flows: () => readonly FlowStatus[],
  now: () => number,
  port?: () => PortStatus,
  audit?: () => IntakeAuditStatus,
): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  recordMetrics(registry, flows)
  partitionMetrics(registry, flows)
  storeMetrics(registry, flows)
  flowMetrics(registry, flows, now)
  if (port !== undefined) portMetrics(registry, port)
  if (audit !== undefined) auditMetrics(registry, audit)
  const readStages = stageMetrics(registry, flows)
  const closeDelay = eventLoopMetric(registry)
  return {
    observer: epochMetrics(registry),
    contentType: registry.contentType,
    scrape: () => {
      readStages()
      return registry.metrics()
    },
    values: () => {
      readStages()
      return registry.getMetricsAsJSON()
    },
    close: () => {
      closeDelay()
      registry.clear()
    },
  }
}

function epochMetrics(registry: Registry): Observer {
  const registers = [registry]
  const labelNames = ['flow'] as const
  const duration = new Histogram({
    name: 'weir_epoch_duration_seconds',
    help: 'From the subscription of an epoch to its last acknowledgement.',
    labelNames,
    buckets: seconds,
    registers,
  })
  const records = new Histogram({
    name: 'weir_epoch_records',
    help: 'Records that an epoch read.',
    labelNames,
    buckets: [0, 1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000],
    registers,
  })
  const commit = new Histogram({
    name: 'weir_commit_duration_seconds',
    help: 'The commit of an epoch alone.',
    labelNames,
    buckets: seconds,
    registers,
  })
  const rejected = new Counter({
    name: 'weir_records_rejected_total',
    help: 'Records that a stage rejected, by the code of the error.',
    labelNames: ['flow', 'stage', 'code'],
    registers,
  })
  const changed = new Counter({
    name: 'weir_topic_changes_total',
    help: 'Changes of a topic that its flow has noticed, by what they were.',
    labelNames: ['flow', 'topic', 'change'],
    registers,
  })
  const gaps = new Counter({
    name: 'weir_source_gap_records_total',
    help: 'Records that were deleted before the flow had read them, at most.',
    labelNames: ['flow', 'topic'],
    registers,
  })
  return {
    epoch: (report) => {
      // The part behind an internal topic has epochs of its own.
      duration.observe({ flow: report.part }, report.durationMs / 1000)
      records.observe({ flow: report.part }, report.records)
      commit.observe({ flow: report.part }, report.commitMs / 1000)
    },
    rejected: ({ flow, stage, error }) => rejected.inc({ flow, stage, code: error.code }),
    topic: ({ flow, topic, change, records = 0 }) => {
      changed.inc({ flow, topic, change })
      if (change === 'gap') gaps.inc({ flow, topic }, records)
    },
  }
}

function recordMetrics(registry: Registry, flows: () => readonly FlowStatus[]): void {
  const counter = (name: string, help: string, count: (stage: StageCounts) => number) =>
    new Counter({
      name,
      help,
      labelNames: ['flow', 'stage'],
      registers: [registry],
      collect() {
        this.reset()
        for (const { flow, stages } of flows()) {
          for (const stage of stages) this.inc({ flow, stage: stage.stage }, count(stage))
        }
      },
    })
  counter('weir_records_in_total', 'Records that a stage took.', (stage) => stage.in)
  counter('weir_records_out_total', 'Records that a stage gave.', (stage) => stage.out)
  counter(
    'weir_records_retried_total',
    'Records that a stage could not take, and that are tried again later.',
    ({ retried = 0 }) => retried,
  )
  counter(
    'weir_values_skipped_total',
    'Values that min, max, sum or avg skipped: null, undefined or NaN. Replays are counted too.',
    ({ skipped = 0 }) => skipped,
  )
}

function partitionMetrics(registry: Registry, flows: () => readonly FlowStatus[]): void {
  // A partition has one owner; while it changes hands the old one may still tell of it.
  const gauge = (name: string, help: string, value: (partition: PartitionStatus) => number | undefined) =>
    new Gauge({
      name,
      help,
      aggregator: 'max',
      labelNames: ['flow', 'topic', 'partition'],
      registers: [registry],
      collect() {
        this.reset()
        for (const { flow, partitions } of flows()) {
          for (const each of partitions) set(this, { flow, topic: each.topic, partition: each.partition }, value(each))
        }
      },
    })
  gauge('weir_lag_records', 'Records of a partition that are not yet read.', ({ end, offset }) =>
    Math.max(0, end - offset),
  )
  gauge('weir_stream_time_seconds', 'The highest event time seen on a partition.', ({ streamTime }) =>
    inSeconds(streamTime),
  )
}

function storeMetrics(registry: Registry, flows: () => readonly FlowStatus[]): void {
  new Counter({
    name: 'weir_store_dropped_total',
    help: 'Entries that a bounded store let go of: their ttl was over, or there was one more than maxKeys.',
    labelNames: ['flow', 'store', 'bound'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { flow, stores } of flows()) {
        for (const { store, expired, evicted } of stores) {
          this.inc({ flow, store, bound: 'ttl' }, expired)
          this.inc({ flow, store, bound: 'maxKeys' }, evicted)
        }
      }
    },
  })
}

function flowMetrics(registry: Registry, flows: () => readonly FlowStatus[], now: () => number): void {
  const gauge = (
    name: string,
    help: string,
    aggregator: 'min' | 'max' | 'sum',
    value: (status: FlowStatus) => number | undefined,
  ) =>
    new Gauge({
      name,
      help,
      aggregator,
      labelNames: ['flow'],
      registers: [registry],
      collect() {
        this.reset()
        for (const status of flows()) set(this, { flow: status.flow }, value(status))
      },
    })
  gauge('weir_watermark_seconds', 'Up to which event time results are final.', 'min', ({ watermark }) =>
    inSeconds(watermark),
  )
  gauge('weir_commit_age_seconds', 'Since the last commit, empty epochs included.', 'max', ({ lastCommitAt }) =>
    lastCommitAt === undefined ? undefined : (now() - lastCommitAt) / 1000,
  )
  gauge(
    'weir_restored_bytes',
    'Stored state that was loaded since the process began.',
    'sum',
    ({ restoredBytes }) => restoredBytes,
  )
  gauge(
    'weir_flow_ready',
    '1 where a flow takes records, or would; 0 where `/ready` says that it does not.',
    'min',
    (status) => (isReady([status]) ? 1 : 0),
  )
  gauge('weir_failures_in_a_row', 'Failed tries since the last commit.', 'max', ({ failures }) => failures)
  new Gauge({
    name: 'weir_flow_state',
    help: '1 for the state that a flow is in, 0 for all others; of several workers, how many are in it.',
    labelNames: ['flow', 'state'],
    registers: [registry],
    collect() {
      for (const { flow, state } of flows())
        for (const each of states) this.set({ flow, state: each }, each === state ? 1 : 0)
    },
  })
}

function portMetrics(registry: Registry, port: () => PortStatus): void {
  const gauge = (name: string, help: string, value: (status: PortStatus) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(port()))
      },
    })
  gauge('weir_http_connections', 'Open connections to the port.', ({ connections }) => connections)
  gauge('weir_http_body_bytes', 'Bodies of requests that are not answered yet.', ({ bodyBytes }) => bodyBytes)
  gauge('weir_http_unread_bytes', 'Answers that callers have not read yet.', ({ unreadBytes }) => unreadBytes)
  new Counter({
    name: 'weir_http_refused_total',
    help: 'Connections and requests that were turned away or cut off, by reason.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [reason, times] of port().refused) this.inc({ reason }, times)
    },
  })
}

function auditMetrics(registry: Registry, audit: () => IntakeAuditStatus): void {
  new Counter({
    name: 'weir_audit_events_total',
    help: 'Events of the audit of requests that brought records, by what became of them: written, or lost.',
    labelNames: ['fate'],
    registers: [registry],
    collect() {
      this.reset()
      const { written, lost } = audit()
      this.inc({ fate: 'written' }, written)
      this.inc({ fate: 'lost' }, lost)
    },
  })
  new Gauge({
    name: 'weir_audit_waiting_events',
    help: 'Events of the audit that are not written yet.',
    registers: [registry],
    collect() {
      this.set(audit().waiting)
    },
  })
}

/** How late timers fire, since the last scrape. Returns what ends the measuring. */
function eventLoopMetric(registry: Registry): () => void {
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  new Gauge({
    name: 'weir_event_loop_delay_seconds',
    help: 'How late the event loop ran since the last scrape.',
    labelNames: ['quantile'],
    aggregator: 'max',
    registers: [registry],
    collect() {
      for (const [quantile, value] of [
        ['0.5', delay.percentile(50)],
        ['0.99', delay.percentile(99)],
        ['1', delay.max],
      ] as const) {
        this.set({ quantile }, delay.count === 0 ? 0 : value / 1e9)
      }
      delay.reset()
    },
  })
  return () => delay.disable()
}

function set(gauge: Gauge<string>, labels: Record<string, string | number>, value: number | undefined): void {
  if (value !== undefined && Number.isFinite(value)) gauge.set(labels, value)
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
