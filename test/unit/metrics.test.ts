import { afterEach, describe, expect, test } from 'vitest'
import type { FlowStatus } from '../../src/engine/status.js'
import { WeirError } from '../../src/model/index.js'
import { ailments, isReady } from '../../src/worker/health.js'
import { createMetrics, type Metrics, sumOf } from '../../src/worker/metrics.js'

const now = 100_000
const status = (more: Partial<FlowStatus> = {}): FlowStatus => ({
  flow: 'one',
  guarantee: 'at-least-once',
  state: 'running',
  since: 0,
  error: undefined,
  failures: 0,
  restoredBytes: 3_000,
  stores: [],
  lastCommitAt: now - 500,
  watermark: 5_000,
  stages: [{ stage: 'map', kind: 'operator', in: 7, out: 5, rejected: 2 }],
  partitions: [{ topic: 't', partition: 1, offset: 40, end: 42, streamTime: 9_500 }],
  ...more,
})

let metrics: Metrics
afterEach(() => metrics?.close())
async function scrape(...flows: FlowStatus[]) {
  metrics = createMetrics(
    () => flows,
    () => now,
  )
  return lines()
}
const lines = async () => (await metrics.scrape()).split('\n')

describe('a scrape', () => {
  test('tells what the flows count, and where they are', async () => {
    expect(await scrape(status())).toEqual(
      expect.arrayContaining([
        'weir_records_in_total{flow="one",stage="map"} 7',
        'weir_records_out_total{flow="one",stage="map"} 5',
        'weir_lag_records{flow="one",topic="t",partition="1"} 2',
        'weir_stream_time_seconds{flow="one",topic="t",partition="1"} 9.5',
        'weir_watermark_seconds{flow="one"} 5',
        'weir_commit_age_seconds{flow="one"} 0.5',
        'weir_flow_state{flow="one",state="running"} 1',
        'weir_flow_state{flow="one",state="failed"} 0',
        'weir_flow_ready{flow="one"} 1',
      ]),
    )
  })

  test('counts the values that aggregates skipped', async () => {
    const stages = [{ stage: 'mean', kind: 'operator' as const, in: 7, out: 5, rejected: 0, skipped: 3 }]
    expect(await scrape(status({ stages }))).toContain('weir_values_skipped_total{flow="one",stage="mean"} 3')
  })

  test('counts what bounded stores let go of', async () => {
    const stores = [{ store: 'users', expired: 3, evicted: 40 }]
    expect(await scrape(status({ stores }))).toEqual(
      expect.arrayContaining([
        'weir_store_dropped_total{flow="one",store="users",bound="ttl"} 3',
        'weir_store_dropped_total{flow="one",store="users",bound="maxKeys"} 40',
      ]),
    )
  })

  test('counts the same when it is repeated, and forgets partitions that have gone', async () => {
    const flows = [status()]
    metrics = createMetrics(
      () => flows,
      () => now,
    )
    await lines()
    flows[0] = status({ partitions: [] })
    const again = await lines()
    expect(again).toContain('weir_records_in_total{flow="one",stage="map"} 7')
    expect(again.filter((line) => line.startsWith('weir_lag_records'))).toEqual([])
  })

  test('says which flows are not ready', async () => {
    const trouble = new WeirError('WEIR_BLOB_UNREACHABLE', 'writing a file: nobody answers')
    const flows = [
      status({ trouble }),
      status({ flow: 'two', state: 'retrying' }),
      status({ flow: 'three', state: 'idle' }),
    ]
    expect((await scrape(...flows)).filter((line) => line.startsWith('weir_flow_ready'))).toEqual([
      'weir_flow_ready{flow="one"} 0',
      'weir_flow_ready{flow="two"} 0',
      'weir_flow_ready{flow="three"} 1',
    ])
  })

  test('leaves out what is not known yet', async () => {
    const text = await scrape(status({ watermark: undefined, lastCommitAt: undefined }))
    expect(text.filter((line) => /^weir_(watermark|commit_age)/.test(line))).toEqual([])
  })

  test('has each epoch, and each rejection by its code', async () => {
    metrics = createMetrics(
      () => [],
      () => now,
    )
    metrics.observer.epoch?.({ flow: 'one', part: 'one', epoch: 1, records: 30, durationMs: 20, commitMs: 3 })
    const error = new WeirError('WEIR_RECORD_LATE', 'late')
    metrics.observer.topic?.({ flow: 'one', topic: 't', change: 'gap', records: 50 })
    metrics.observer.topic?.({ flow: 'one', topic: 't', change: 'grown' })
    metrics.observer.rejected?.({ flow: 'one', stage: 'sum', error, at: 't-0@1', correlationId: 'c' })
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'weir_epoch_records_sum{flow="one"} 30',
        'weir_epoch_duration_seconds_sum{flow="one"} 0.02',
        'weir_commit_duration_seconds_sum{flow="one"} 0.003',
        'weir_records_rejected_total{flow="one",stage="sum",code="WEIR_RECORD_LATE"} 1',
        'weir_source_gap_records_total{flow="one",topic="t"} 50',
        'weir_topic_changes_total{flow="one",topic="t",change="gap"} 1',
        'weir_topic_changes_total{flow="one",topic="t",change="grown"} 1',
      ]),
    )
  })

  test('has the process and its event loop', async () => {
    const text = await scrape()
    expect(text.find((line) => line.startsWith('weir_event_loop_delay_seconds{quantile="0.99"}'))).toMatch(/ [\d.e-]+$/)
    expect(text.find((line) => line.startsWith('process_resident_memory_bytes'))).toMatch(/ \d+$/)
  })
})

test('of several workers counts are added up, and of what can not be added the worst is told', async () => {
  const workers = [
    status(),
    status({ lastCommitAt: now - 9_000, watermark: 3_000, failures: 2, partitions: [] }),
    status({ state: 'idle', lastCommitAt: undefined, watermark: undefined, stages: [], partitions: [] }),
  ].map((flow) =>
    createMetrics(
      () => [flow],
      () => now,
    ),
  )
  const values = await Promise.all(workers.map((worker) => worker.values()))
  // They come from other processes.
  const sum = await sumOf(JSON.parse(JSON.stringify(values)))
  for (const worker of workers) worker.close()
  expect(sum.split('\n')).toEqual(
    expect.arrayContaining([
      'weir_records_in_total{flow="one",stage="map"} 14',
      'weir_lag_records{flow="one",topic="t",partition="1"} 2',
      'weir_watermark_seconds{flow="one"} 3',
      'weir_commit_age_seconds{flow="one"} 9',
      'weir_failures_in_a_row{flow="one"} 2',
      'weir_flow_state{flow="one",state="running"} 2',
      'weir_flow_state{flow="one",state="idle"} 1',
    ]),
  )
})

describe('health', () => {
  const sick = (more: Partial<FlowStatus>) =>
    ailments([status(more)], { now, stuckAfterMs: 60_000 }).map(({ reason }) => reason)
  const error = new WeirError('WEIR_SINK_UNREACHABLE', 'writing rows: nobody answers')

  test.each<[string, Partial<FlowStatus>, string[]]>([
    ['that commits', {}, []],
    ['that commits nothing for long', { lastCommitAt: 30_000 }, ['nothing was committed after 70 s']],
    ['that waits for what is away, and says so', { lastCommitAt: 30_000, trouble: error }, []],
    ['that is new', { lastCommitAt: undefined, since: 50_000 }, []],
    ['that never committed', { lastCommitAt: undefined, since: 30_000 }, ['nothing was committed after 70 s']],
    ['that retries, for now', { state: 'retrying', error }, []],
    [
      'that retries for long',
      { state: 'retrying', error, lastCommitAt: 1_000 },
      ['nothing was committed after 99 s: writing rows: nobody answers'],
    ],
    [
      'that waits for what is away, for long',
      { lastCommitAt: 1_000, trouble: new WeirError('WEIR_BLOB_UNREACHABLE', 'writing a file: nobody answers') },
      [],
    ],
    [
      'that waits for what is away, and fails with what it has read',
      { error, failingSince: 1_000, trouble: new WeirError('WEIR_BLOB_UNREACHABLE', 'writing a file: nobody answers') },
      ['what it has read has failed for 99 s: writing rows: nobody answers'],
    ],
    ['that starts for long', { state: 'starting', lastCommitAt: undefined }, ['it is still starting after 100 s']],
    ['that has failed', { state: 'failed', error }, ['it has failed: writing rows: nobody answers']],
    ['that is at its end', { state: 'stopped', lastCommitAt: 0 }, []],
    ['that is idle for long', { state: 'idle', lastCommitAt: undefined }, []],
  ])('of a flow %s', (_, more, reasons) => expect(sick(more)).toEqual(reasons))

  test('is not readiness: a flow is ready when it runs', () => {
    expect(isReady([status(), status({ state: 'stopped' }), status({ state: 'idle' })])).toBe(true)
    expect(isReady([status(), status({ state: 'assigning' })])).toBe(false)
  })
})
