import { afterEach, describe, expect, test } from 'vitest'
import type { FlowStatus, StageReading } from '../../src/engine/status.js'
import { Distribution, type StageMetric } from '../../src/model/index.js'
import { createMetrics, type Metrics, sumOf } from '../../src/worker/metrics.js'
import { flowStatus } from '../support/flow-status.js'

const flowOf = (flow: string, metrics: readonly StageReading[]) => flowStatus({ flow, metrics })

const opened: Metrics[] = []
afterEach(() => opened.splice(0).forEach((metrics) => metrics.close()))
function metricsOf(flows: () => readonly FlowStatus[]): Metrics {
  const metrics = createMetrics(flows, () => 0)
  opened.push(metrics)
  return metrics
}
const linesOf = (text: string, name: string) => text.split('\n').filter((line) => line.includes(name))

const depth: StageMetric = { name: 'well_depth_meters', help: 'How deep it is.', kind: 'gauge', together: 'max' }
const drawn: StageMetric = { name: 'well_drawn_bytes_total', help: 'What was drawn.', kind: 'counter' }
const waits: StageMetric = {
  name: 'well_wait_seconds',
  help: 'How long it took.',
  kind: 'histogram',
  labels: { bucket: ['wood', 'tin'] },
}

describe('what stages measure of themselves', () => {
  test('is scraped with their flow and name, as it is at that time', async () => {
    let meters = 3
    const { scrape } = metricsOf(() => [
      flowOf('one', [{ stage: 'well', metric: depth, value: meters }]),
      flowOf('two', [{ stage: 'hole', metric: depth, value: 1 }]),
    ])
    expect(linesOf(await scrape(), 'well_depth')).toEqual([
      '# HELP weir_well_depth_meters How deep it is.',
      '# TYPE weir_well_depth_meters gauge',
      'weir_well_depth_meters{flow="one",stage="well"} 3',
      'weir_well_depth_meters{flow="two",stage="hole"} 1',
    ])
    meters = 4
    expect(await scrape()).toContain('weir_well_depth_meters{flow="one",stage="well"} 4')
  })

  test('is there from the first scrape after it is told, and gone when it is no longer', async () => {
    const flows: FlowStatus[] = []
    const { scrape } = metricsOf(() => flows)
    expect(await scrape()).not.toContain('well_drawn')
    flows.push(flowOf('one', [{ stage: 'well', metric: drawn, value: 5 }]))
    expect(await scrape()).toContain('weir_well_drawn_bytes_total{flow="one",stage="well"} 5')
    flows.pop()
    expect(linesOf(await scrape(), 'well_drawn_bytes_total{')).toEqual([])
  })

  test('may be how often something was how large', async () => {
    const value = new Distribution([0.1, 1, 10])
    for (const seconds of [0.05, 0.1, 0.5, 30]) value.add(seconds)
    const { scrape } = metricsOf(() => [
      flowOf('one', [{ stage: 'well', metric: waits, labels: { bucket: 'tin' }, value }]),
    ])
    const of = 'flow="one",stage="well",bucket="tin"'
    expect(linesOf(await scrape(), 'well_wait').slice(1)).toEqual([
      '# TYPE weir_well_wait_seconds histogram',
      `weir_well_wait_seconds_bucket{${of},le="0.1"} 2`,
      `weir_well_wait_seconds_bucket{${of},le="1"} 3`,
      `weir_well_wait_seconds_bucket{${of},le="10"} 3`,
      `weir_well_wait_seconds_bucket{${of},le="+Inf"} 4`,
      `weir_well_wait_seconds_sum{${of}} 30.65`,
      `weir_well_wait_seconds_count{${of}} 4`,
    ])
  })

  test('has no labels but those that were declared', async () => {
    const labels = { bucket: 'customer-4711', file: 'a/b.parquet' }
    const { scrape } = metricsOf(() => [
      flowOf('one', [{ stage: 'well', metric: waits, labels, value: new Distribution([]) }]),
    ])
    expect(linesOf(await scrape(), 'well_wait_seconds_count')).toEqual([
      'weir_well_wait_seconds_count{flow="one",stage="well",bucket="other"} 0',
    ])
  })

  test('takes no name that the worker itself has, and no number that is none', async () => {
    const taken: StageMetric = { name: 'lag_records', help: 'Mine.', kind: 'gauge' }
    const { scrape } = metricsOf(() => [
      flowOf('one', [
        { stage: 'well', metric: taken, value: 7 },
        { stage: 'well', metric: depth, value: Number.NaN },
      ]),
    ])
    const text = await scrape()
    expect(linesOf(text, 'Mine')).toEqual([])
    expect(linesOf(text, 'weir_lag_records{')).toEqual([])
    expect(linesOf(text, 'weir_well_depth_meters{')).toEqual([])
  })

  test('of several workers is added up, or the largest', async () => {
    const workers = [2, 5].map((value) => {
      const waited = new Distribution([1])
      waited.add(value / 4)
      return metricsOf(() => [
        flowOf('one', [
          { stage: 'well', metric: depth, value },
          { stage: 'well', metric: drawn, value },
          { stage: 'well', metric: waits, labels: { bucket: 'tin' }, value: waited },
        ]),
      ])
    })
    const values = await Promise.all(workers.map((worker) => worker.values()))
    // They come from other processes.
    const text = await sumOf(JSON.parse(JSON.stringify(values)))
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'weir_well_depth_meters{flow="one",stage="well"} 5',
        'weir_well_drawn_bytes_total{flow="one",stage="well"} 7',
        'weir_well_wait_seconds_bucket{flow="one",stage="well",bucket="tin",le="1"} 1',
        'weir_well_wait_seconds_bucket{flow="one",stage="well",bucket="tin",le="+Inf"} 2',
        'weir_well_wait_seconds_sum{flow="one",stage="well",bucket="tin"} 1.75',
      ]),
    )
  })
})
