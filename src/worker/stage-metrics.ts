import type { Metric, Registry } from 'prom-client'
import type { FlowStatus } from '../engine/status.js'
import { Distribution, type StageMetric } from '../model/index.js'

interface Labelled {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Where that is not the name of the metric. */
  readonly metricName?: string
}

/** What is told of a metric. */
interface Told extends Omit<Labelled, 'value'> {
  readonly value: number | Distribution
}

/**
 * The metrics that stages tell of themselves. Which there are is known when the first is told: call what it returns before
 * each scrape.
 */
export function stageMetrics(registry: Registry, flows: () => readonly FlowStatus[]): () => void {
  const told = new Map<string, Told[]>()
  return () => {
    for (const values of told.values()) values.length = 0
    for (const { flow, metrics = [] } of flows()) {
      for (const { stage, metric, labels = {}, value } of metrics) {
        const values = told.get(metric.name) ?? register(registry, metric)
        told.set(metric.name, values)
        values.push({ labels: { flow, stage, ...bounded(metric, labels) }, value })
      }
    }
  }
}

/** One of prom-client's own can't be given the values of a histogram. */
function register(registry: Registry, { name: own, help, kind, together = 'sum' }: StageMetric): Told[] {
  const name = `weir_${own}`
  const told: Told[] = []
  const get = () =>
    Promise.resolve({
      name,
      help,
      type: kind,
      aggregator: together,
      values: told.flatMap((each) => valuesOf(name, each)),
    })
  // What the worker itself tells under that name stays.
  if (registry.getSingleMetric(name) === undefined) registry.registerMetric({ name, get } as unknown as Metric)
  return told
}

function valuesOf(name: string, { labels, value }: Told): readonly Labelled[] {
  if (!(value instanceof Distribution)) return Number.isFinite(value) ? [{ labels, value }] : []
  let upTo = 0
  const within = value.bounds.map((le, index) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value: (upTo += value.counts[index] ?? 0),
  }))
  return [
    ...within,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: value.count },
    { metricName: `${name}_sum`, labels, value: value.sum },
    { metricName: `${name}_count`, labels, value: value.count },
  ]
}

/** Nothing but what was declared becomes a label. */
function bounded({ labels = {} }: StageMetric, given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).map(([label, values]) => {
      const value = given[label] ?? ''
      return [label, values.includes(value) ? value : 'other']
    }),
  )
}
